"""What the HTTP application sees in an exchange's place where there is none: in a replay, in a relay."""

from collections.abc import Callable
from typing import Any

from tickwire.keys.keyring import KeyRing
from tickwire.wire.errors import ApiError

__all__ = ["ReadOnlyGateway"]


class ReadOnlyGateway:
    """Whatever needs the exchange itself is refused with ``code``; ``clock`` gives ns since the epoch."""

    def __init__(self, keys: KeyRing, clock: Callable[[], int], code: str) -> None:
        self.keys = keys
        self.clock = clock
        # Signatures expire by the time that GET /public/time shows, so it is the machine's, whatever time is served.
        self.now = clock
        self._code = code

    @property
    def engine(self) -> Any:
        """Raises ``ApiError``: there is no exchange."""
        raise ApiError(self._code)

    @property
    def store(self) -> Any:
        """Raises ``ApiError``: there is no history."""
        raise ApiError(self._code)

    async def submit(self, _command: object, _render: object) -> Any:
        """Raises ``ApiError``."""
        raise ApiError(self._code)

    async def settled(self) -> None:
        """Nothing is ever under way."""

    async def open_account(self, _account: str) -> None:
        """There is nothing to open: accounts are somewhere else."""
