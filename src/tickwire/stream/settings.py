"""What an operator may choose about the stream, and what the stream counts."""

import msgspec

__all__ = ["HELD_BYTES", "StreamCounters", "StreamLimits", "StreamSettings"]

# Bytes kept for a reader that is behind in what is never dropped; 2,000 executions or so.
HELD_BYTES = 1024 * 1024

# What --no-limits sets: more than any client can do, and still far from where a float loses whole numbers.
_NO_LIMIT = 10**12


class StreamLimits(msgspec.Struct, frozen=True):
    """How much a client may do; the defaults are the contract's (section 8)."""

    upgrades_per_minute: int = 20  # handshakes an address, in the long run
    upgrade_burst: int = 100  # handshakes an address, at once
    sockets_per_key: int = 100
    sockets_per_address: int = 1_000
    connections: int = 10_000  # of all clients together, streams and HTTP
    topics_per_socket: int = 1_000
    topics_per_frame: int = 50
    operations_per_second: int = 50  # a socket; as many at once
    bad_frames_per_minute: int = 100  # a socket; as many at once
    backlog_bytes: int = 512 * 1024 * 1024  # what waits for slow readers, of all sockets together

    @classmethod
    def unlimited(cls) -> "StreamLimits":
        """No limit but the size of a message: for benchmarks."""
        return cls(**dict.fromkeys(cls.__struct_fields__, _NO_LIMIT))


class StreamSettings(msgspec.Struct, frozen=True):
    """Limits, and times in seconds."""

    limits: StreamLimits = StreamLimits()
    # A client's largest message. A subscribe of 50 topics has about 1.5 kB; 64 KiB is the contract's bound.
    message_bytes: int = 64 * 1024
    ping_interval: float = 20.0
    silence_timeout: float = 60.0  # a peer that sends nothing for this long is dropped
    stall_timeout: float = 30.0  # a reader that takes nothing for this long is closed
    # How long a peer may take to answer a close frame; browsers and the usual libraries answer within a round trip.
    close_timeout: float = 3.0
    # From the first byte of a connection or of a request to the last one of its head and body. A bot's request is one
    # segment; ten seconds are for a line that loses many.
    request_timeout: float = 10.0
    held_bytes: int = HELD_BYTES
    # What is kept of a topic for readers that resume, and for how long once none of them is left: of a busy order book
    # some seconds, of an account's executions hours. All that one subscribe brings back has to fit into held_bytes.
    resume_frames: int = 2_000
    resume_bytes: int = 512 * 1024
    resume_seconds: float = 60.0


class StreamCounters(msgspec.Struct):
    """What has happened since the start."""

    connections: int = 0  # accepted
    operations: int = 0
    frames_out: int = 0
    bytes_out: int = 0
    # Writes by the bit length of how many frames each joined: an index for every write costs less than a search.
    joined: list[int] = msgspec.field(default_factory=lambda: [0] * 32)
    resumed: int = 0  # topics that a reader has come back to with nothing missed
    not_resumed: int = 0  # those for which it had to begin with a SNAPSHOT
    conflated: int = 0  # times a topic was set aside for a reader that was behind
    dropped: int = 0  # frames that a topic's next SNAPSHOT makes good, while it is set aside
    merged: int = 0  # frames that went into a later one, as their reader had asked for fewer
    discarded: int = 0  # frames for a reader that is being closed
    refusals: dict[str, int] = {}  # handshakes, by code
    closes: dict[str, int] = {}  # sockets, by name of the close
    limits: dict[str, int] = {}  # times a limit was hit, by its setting

    def refused(self, code: str) -> None:
        """Count one refused handshake."""
        self.refusals[code] = self.refusals.get(code, 0) + 1

    def closed(self, name: str) -> None:
        """Count one closed socket."""
        self.closes[name] = self.closes.get(name, 0) + 1

    def limited(self, setting: str) -> None:
        """Count one refusal by the limit of that name."""
        self.limits[setting] = self.limits.get(setting, 0) + 1
