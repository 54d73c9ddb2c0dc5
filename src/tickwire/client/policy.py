"""When a client connects, waits, measures its clock, or gives up: a state machine without I/O.

What happens goes in (``opened``, ``ended``, ``due``, ``stopped``) with a reading of a clock that never goes back, in
seconds; what to do comes out: ``Dial``, ``Wait`` or ``Finish``, or nothing. The table of transitions is ``TABLE``;
what an end means is judged by ``judge`` alone. What is subscribed, and the socket, are the connection's business.

    state        opened   ended, come back   ended for good   due          stopped
    IDLE                                                      CONNECTING   FINISHED
    CONNECTING   OPEN     WAITING            FINISHED                      FINISHED
    OPEN                  WAITING            FINISHED                      FINISHED
    WAITING                                                   CONNECTING   FINISHED
    FINISHED                                                               FINISHED

The delay is drawn evenly between nothing and a bound that doubles with each try ("full jitter"): when a server comes
back, its clients do not come back all at once.
"""

import enum
import random
from collections.abc import Callable

import msgspec

from tickwire.wire.closes import CLOSES

__all__ = ["TABLE", "Action", "BackOff", "Dial", "End", "Finish", "Reconnector", "State", "Verdict", "Wait", "judge"]


class State(enum.Enum):
    """Where a connection stands."""

    IDLE = "idle"
    CONNECTING = "connecting"
    OPEN = "open"
    WAITING = "waiting"
    FINISHED = "finished"


class Input(enum.Enum):
    """What can happen to it."""

    OPENED = "opened"
    COME_BACK = "ended, come back"
    FOR_GOOD = "ended for good"
    DUE = "due"
    STOPPED = "stopped"


TABLE: dict[tuple[State, Input], State] = {
    (State.IDLE, Input.DUE): State.CONNECTING,
    (State.CONNECTING, Input.OPENED): State.OPEN,
    (State.CONNECTING, Input.COME_BACK): State.WAITING,
    (State.CONNECTING, Input.FOR_GOOD): State.FINISHED,
    (State.OPEN, Input.COME_BACK): State.WAITING,
    (State.OPEN, Input.FOR_GOOD): State.FINISHED,
    (State.WAITING, Input.DUE): State.CONNECTING,
    (State.IDLE, Input.STOPPED): State.FINISHED,
    (State.CONNECTING, Input.STOPPED): State.FINISHED,
    (State.OPEN, Input.STOPPED): State.FINISHED,
    (State.WAITING, Input.STOPPED): State.FINISHED,
    (State.FINISHED, Input.STOPPED): State.FINISHED,
}


class End(msgspec.Struct, frozen=True):
    """How a connection ended, or why there was none.

    ``status`` is the HTTP status of a refused handshake, ``error`` the code in its body or header; ``close_code`` and
    ``reason`` are those of the close frame. All are 0 or empty where there was none: the network failed, as ``reason``
    then says. ``retry_after`` is in seconds.
    """

    reason: str
    status: int = 0
    error: str = ""
    close_code: int = 0
    retry_after: float = 0.0


class BackOff(msgspec.Struct, frozen=True):
    """How long to wait before the next try, in seconds.

    The bound of the draw is ``first`` before the first retry and doubles up to ``longest``; a connection that has
    been open for ``stable_after`` starts it over.
    """

    first: float = 0.5
    longest: float = 10.0
    stable_after: float = 5.0


class Dial(msgspec.Struct, frozen=True):
    """Open the connection with a fresh signature, now."""


class Wait(msgspec.Struct, frozen=True):
    """Call ``due`` in ``delay`` seconds. ``attempt`` counts the tries in a row, from 1 on."""

    delay: float
    attempt: int
    end: End


class Finish(msgspec.Struct, frozen=True):
    """Try no more. ``end`` says why; it is ``None`` when the user stopped it."""

    end: End | None


Action = Dial | Wait | Finish


class Verdict(msgspec.Struct, frozen=True):
    """What an end means: whether to come back, and after how many seconds at the earliest.

    With ``once`` it is worth one more try only: the clock was set by the refusal.
    """

    come_back: bool
    earliest: float = 0.0
    once: bool = False


# What a server asks for that has more to do than it can: more than the first draws of the back-off would give it.
_OVERLOADED_SECONDS = 1.0
# A close code alone, where the server gave none of the catalogue's reasons.
_FOR_GOOD_CLOSES = frozenset({1003, 1008, 1009})
_BY_CODE_AND_REASON = {(close.code, close.reason): close for close in CLOSES.values()}
# Statuses below 500 that speak of now and not of the request.
_PASSING_STATUSES = frozenset({408, 425, 429})


def judge(end: End) -> Verdict:
    """What an end means. Network errors, 5xx and unknown close codes pass; refusals of the key or request do not."""
    if end.status:
        if end.status == 401 and end.error != "api.invalidSession":
            return Verdict(come_back=True, once=True)
        if end.status in _PASSING_STATUSES or end.status >= 500 or end.status < 400:
            return Verdict(come_back=True, earliest=end.retry_after)
        return Verdict(come_back=False)
    known = _BY_CODE_AND_REASON.get((end.close_code, end.reason))
    if known.reconnect if known is not None else end.close_code not in _FOR_GOOD_CLOSES:
        busy = end.close_code in (1012, 1013)
        return Verdict(come_back=True, earliest=_OVERLOADED_SECONDS if busy else 0.0)
    return Verdict(come_back=False)


class Reconnector:
    """One connection's life. ``draw`` gives a number between 0 and 1."""

    def __init__(self, back_off: BackOff | None = None, draw: Callable[[], float] = random.random) -> None:
        self.state = State.IDLE
        self._back_off = back_off or BackOff()
        self._draw = draw
        self._attempt = 0
        self._opened = 0.0
        self._warned = False  # a refusal that is worth one more try has come

    def due(self) -> Action:
        """The beginning, or the end of a wait."""
        self._step(Input.DUE)
        return Dial()

    def opened(self, now: float) -> None:
        """The handshake is through."""
        self._step(Input.OPENED)
        self._opened = now
        self._warned = False

    def ended(self, end: End, now: float) -> Action:
        """The connection is lost, or could not be made."""
        verdict = judge(end)
        if not verdict.come_back or (verdict.once and self._warned):
            self._step(Input.FOR_GOOD)
            return Finish(end)
        if self.state is State.OPEN and now - self._opened >= self._back_off.stable_after:
            self._attempt = 0
        self._step(Input.COME_BACK)
        self._warned = self._warned or verdict.once
        # A float has no room for 2 ** 1024; the bound has long been reached by then.
        bound = min(self._back_off.longest, self._back_off.first * 2.0 ** min(self._attempt, 60))
        self._attempt += 1
        return Wait(verdict.earliest + self._draw() * bound, self._attempt, end)

    def stopped(self) -> Action:
        """The user wants no more."""
        self._step(Input.STOPPED)
        return Finish(None)

    def _step(self, happened: Input) -> None:
        try:
            self.state = TABLE[self.state, happened]
        except KeyError:
            raise RuntimeError(
                f"expected a transition of the table, got {happened.value} while {self.state.value}"
            ) from None
