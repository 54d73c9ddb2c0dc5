"""The bus within one process: the engine's projector on one side, the stream's listener on the other."""

from collections.abc import Callable, Sequence

from tickwire.bus.feed import Listener
from tickwire.exchange.projection import Frame, Projector
from tickwire.wire.errors import ApiError
from tickwire.wire.topics import TopicKey

__all__ = ["LocalFeed"]


class LocalFeed:
    """A ``Feed`` straight from a projector.

    ``settle`` runs a callback at its place in the publishing order: after all that has been rendered so far is
    committed and published, at once where nothing is under way.
    """

    def __init__(self, projector: Projector, settle: Callable[[Callable[[], None]], None]) -> None:
        self._projector = projector
        self._settle = settle
        self._listener: Listener | None = None

    def refusal(self, key: TopicKey) -> ApiError | None:
        """Unknown symbols are refused, and accounts that have not been opened: a key may be used before its account
        is there.
        """
        state = self._projector.state
        if key.topic.private:
            if key.account not in state.accounts:
                return ApiError("AccountNotFound")
        elif key.topic.symbol not in state.markets:
            return ApiError("InvalidSymbol", f"no symbol {key.topic.symbol[:40]!r}")
        return None

    def listen(self, listener: Listener) -> None:
        """Send every payload of every joined key to ``listener``."""
        self._listener = listener

    def join(self, keys: Sequence[TopicKey], then: Callable[[Sequence[bytes | None]], None]) -> None:
        """Snapshots are rendered now and handed over once what led to them has been published."""
        snapshots = [self._projector.watch(key) for key in keys]
        self._settle(lambda: then(snapshots))

    def leave(self, key: TopicKey) -> None:
        """Drop one count of interest."""
        self._projector.unwatch(key)

    def settle(self, then: Callable[[], None]) -> None:
        """Call ``then`` once all that was rendered so far has been published."""
        self._settle(then)

    def publish(self, frames: Sequence[Frame]) -> None:
        """Hand frames to the listener, in their order."""
        listener = self._listener
        if listener is not None:
            for key, payload in frames:
                listener(key, payload)
