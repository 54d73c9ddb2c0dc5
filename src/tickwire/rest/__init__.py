"""The HTTP application; it turns requests into commands and queries and holds no state of the exchange."""
