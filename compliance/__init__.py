"""The Autobahn cases against the transport that serves the stream: `python -m compliance`."""
