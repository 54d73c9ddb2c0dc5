"""When a call is tried again, and after how long. No I/O: it decides, the transports wait."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tickwire.client.errors import ApiError, ClientError, ConnectionFailed

__all__ = ["NO_RETRIES", "Retries"]


@dataclass(frozen=True, slots=True)
class Retries:
    """Full jitter: a pause is drawn between nothing and a bound that doubles each time, so that clients which were
    all cut off at once do not come back at once. A ``Retry-After`` of the server is waited for in full.

    ``attempts`` counts the first one. ``patience`` is the longest ``Retry-After``, in seconds, that is waited for; a
    longer one is raised at once, for the program to decide.
    """

    attempts: int = 4
    first_pause: float = 0.2
    longest_pause: float = 5.0
    patience: float = 30.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts: expected at least 1, got {self.attempts}")
        for name in ("first_pause", "longest_pause", "patience"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}: expected seconds, zero or more, got {getattr(self, name)}")

    def pause(
        self, attempt: int, error: ClientError, idempotent: bool, draw: Callable[[], float] = random.random
    ) -> float | None:
        """How many seconds to wait after ``error`` ended attempt number ``attempt`` (from 1); ``None``: give up.

        What is not idempotent is tried again only when the request certainly never reached the server. ``draw`` gives
        a number from 0 up to 1.
        """
        if attempt >= self.attempts or not error.temporary:
            return None
        if not idempotent and not (isinstance(error, ConnectionFailed) and not error.may_have_arrived):
            return None
        jitter = draw() * min(self.longest_pause, self.first_pause * 2.0 ** (attempt - 1))
        asked = error.retry_after if isinstance(error, ApiError) else None
        if asked is None:
            return jitter
        return asked + jitter if asked <= self.patience else None


NO_RETRIES = Retries(attempts=1)
"""Every call is tried once."""
