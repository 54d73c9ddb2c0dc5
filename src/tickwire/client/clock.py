"""The server's clock as seen from here, so that ``api-expires`` is right on a machine whose own clock is not.

Two things tell the server's time: ``GET /public/time``, exact to half of its round trip, and the ``Date`` header of
any reply, exact to about a second. Each gives an offset to the local clock and an uncertainty. A new one is taken when
it is at least as exact as what is held, or when the two contradict each other: then one of the clocks was set.

The header is free, but may be of a proxy whose clock is wrong: it counts only until the server itself has been asked.
"""

import time
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

__all__ = ["ServerClock", "http_date"]

_SECOND = 1_000_000_000
# The header is cut to whole seconds, and servers write it once a second and send the same text until the next one.
_DATE_SPAN = 2 * _SECOND


def http_date(text: str) -> int | None:
    """A date of an HTTP header as Unix seconds; ``None`` when it is none."""
    try:
        date = parsedate_to_datetime(text)
        # Without a zone it is UTC by RFC 9110, which knows no other.
        return int(date.replace(tzinfo=date.tzinfo or UTC).timestamp())
    except (ValueError, OverflowError):
        return None


class ServerClock:
    """Estimates the server's time. ``local`` gives this machine's, in ns since the epoch."""

    def __init__(self, local: Callable[[], int] = time.time_ns) -> None:
        self.local = local
        self.offset = 0
        """What to add to the local clock, in ns."""
        self.uncertainty: int | None = None
        """How far the offset may be off, in ns; ``None`` while nothing was measured."""
        self._asked = False  # whether the server itself has told its time

    def now(self) -> int:
        """The server's time, ns since the epoch; the local time while nothing was measured."""
        return self.local() + self.offset

    def expires(self, seconds: int) -> str:
        """The value of ``api-expires`` for a signature that is to hold for some seconds."""
        return str(self.now() // _SECOND + seconds)

    def observe(self, server_time: int, sent: int, received: int) -> bool:
        """Take the answer of ``GET /public/time`` into account.

        All in ns: ``server_time`` as answered, ``sent`` and ``received`` as the local clock showed them. Returns
        whether it was taken.
        """
        if received < sent:
            return False  # the local clock was set back meanwhile: nothing can be learned
        if not self._asked:
            self._asked = True
            self.uncertainty = None  # whatever a proxy said before
        half = (received - sent) // 2
        return self._take(server_time - sent - half, half)

    def observe_date(self, header: str, sent: int, received: int) -> bool:
        """Take the ``Date`` header of a reply into account, unless the server itself has been asked."""
        seconds = http_date(header)
        if self._asked or seconds is None or received < sent:
            return False
        uncertainty = (_DATE_SPAN + received - sent) // 2
        middle = seconds * _SECOND + _DATE_SPAN // 2
        return self._take(middle - (sent + received) // 2, uncertainty)

    def _take(self, offset: int, uncertainty: int) -> bool:
        held = self.uncertainty
        if held is not None and uncertainty > held and abs(offset - self.offset) <= uncertainty + held:
            return False
        self.offset, self.uncertainty = offset, uncertainty
        return True
