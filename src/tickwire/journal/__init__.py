"""Commands and snapshots on disk, recovery and the state hash; it stores commands and does not apply them."""
