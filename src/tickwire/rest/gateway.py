"""What the HTTP application knows of the rest of the exchange: one protocol that the service fulfils."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from tickwire.exchange.commands import Command
from tickwire.exchange.engine import Engine
from tickwire.exchange.events import Events
from tickwire.journal.history import HistoryPage
from tickwire.keys.keyring import KeyRing

__all__ = ["Gateway", "History"]

T = TypeVar("T")


class History(Protocol):
    """The journal's queries; each gives the whole JSON reply, newest first."""

    def order_history(self, account: str, page: HistoryPage) -> bytes:
        """An ``OrderHistory``."""

    def execution_history(self, account: str, page: HistoryPage) -> bytes:
        """An ``ExecutionHistory``."""


class Gateway(Protocol):
    """The exchange as the HTTP application sees it."""

    @property
    def engine(self) -> Engine:
        """For views; read only."""

    @property
    def store(self) -> History:
        """What is no longer in the engine's memory."""

    @property
    def keys(self) -> KeyRing:
        """Who may do what."""

    def now(self) -> int:
        """The exchange's time, ns since the epoch; it never goes back."""

    def clock(self) -> int:
        """The machine's time, ns since the epoch, by which signatures expire; it may be behind the exchange's."""

    async def submit(self, command: Command, render: Callable[[Events], T]) -> T:
        """Apply a command; what ``render`` made of the state right after it comes back once it is committed.

        Raises ``ApiError`` when the engine refuses it, and ``Unavailable`` when it cannot be committed.
        """

    async def settled(self) -> None:
        """Wait until all that the state shows now is committed. Raises ``ApiError`` Unavailable."""

    async def open_account(self, account: str) -> None:
        """Open and fund an account; one that exists is left as it is. Raises ``ApiError``."""
