"""Servers of other libraries that do what the stream does in a benchmark: installed on demand, see ``install``."""
