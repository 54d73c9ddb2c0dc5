"""The wire contract as code: what a client sends and what it sees.

Topics, envelope, rows, requests, signing, decimals, intervals and the catalogues of errors and close codes.
One definition serves REST, stream, documents and client. Nothing here does I/O, reads a clock or knows the exchange.
"""
