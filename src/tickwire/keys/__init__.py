"""API keys, scopes and allow-lists, in memory and on disk; signing itself is in `tickwire.wire`."""
