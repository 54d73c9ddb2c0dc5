"""The WebSocket side: session, hub, outbox, handshake, keep-alive; no matching, no money, no REST."""
