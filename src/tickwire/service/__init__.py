"""The server put together: configuration and lifecycle; the parts themselves are in the packages below it."""
