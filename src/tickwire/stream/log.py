"""What the log says of streams: that one was opened (debug), why it ended (info, one line each), and who was refused.

A flood of refused handshakes must not fill a disk: of those only some are written, and then how many were not. Nothing
here is at the default level, warning: that a client comes, goes or signs wrongly is no fault of the server's.
"""

import logging
from collections.abc import Callable

from tickwire.keys.limits import TokenBucket
from tickwire.stream.hub import Reader

__all__ = ["StreamLog"]

# Lines about refusals: 2 MB a day at the most.
_REFUSALS_PER_SECOND = 0.1
_REFUSAL_BURST = 20

_log = logging.getLogger("tickwire.stream")


class StreamLog:
    """The log of one process's streams. ``clock`` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._refusals = TokenBucket(_REFUSALS_PER_SECOND, _REFUSAL_BURST, clock())
        self._left_out = 0

    def opened(self, connection: int, reader: Reader, account: str, address: str, *, deflate: bool) -> None:
        """A handshake has succeeded; ``connection`` is the number that all lines of this stream have."""
        if _log.isEnabledFor(logging.DEBUG):
            fields = {
                "connection": connection, "key": reader.key, "account": account, "address": address, "deflate": deflate,
            }  # fmt: skip
            _log.debug("stream opened", extra={"fields": fields})

    def closed(
        self, connection: int, reader: Reader, address: str, *, name: str, code: int, seconds: float, topics: int
    ) -> None:
        """A stream is gone. ``name`` is what it is counted as, ``code`` of the close frame that ended it, or 1006."""
        if _log.isEnabledFor(logging.INFO):
            outbox = reader.outbox
            fields = {
                "connection": connection, "name": name, "code": code, "seconds": round(seconds, 3),
                "frames": outbox.frames, "bytes": outbox.written, "subscriptions": topics,
                "conflated": outbox.conflated, "key": reader.key, "address": address,
            }  # fmt: skip
            _log.info("stream closed", extra={"fields": fields})

    def refused(self, code: str, limit: str, address: str, *, what: str = "handshake") -> None:
        """A handshake, or a whole connection, was refused: with the error ``code``, by the limit of that name."""
        if not _log.isEnabledFor(logging.INFO):
            return
        if self._refusals.take(self._clock()):
            self._left_out += 1
            return
        fields: dict[str, object] = {"code": code, "address": address}
        if limit:
            fields["limit"] = limit
        if self._left_out:
            fields["left_out"] = self._left_out
            self._left_out = 0
        _log.info("%s refused", what, extra={"fields": fields})
