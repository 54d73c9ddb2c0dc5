"""tickwire: a derivatives exchange's real-time API that anybody can run.

This package holds the version and nothing else; start with `tickwire.service` (the server put
together), `tickwire.exchange` (the exchange itself) or `tickwire.wire` (what a client sees).
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
