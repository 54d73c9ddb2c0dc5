"""The load generator behind `tickwire bench`: many readers in several processes, against any server of this API.

A client like any other: it knows the wire and the client library's framing, and nothing of the server.
"""
