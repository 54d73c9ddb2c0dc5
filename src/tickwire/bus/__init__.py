"""What carries events and frames from the engine to the stream nodes; it does not read what it carries."""
