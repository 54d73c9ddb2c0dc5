"""What the stream knows of the exchange: topics to join, payloads that come in order.

A *payload* is a whole encoded data frame (see ``wire.envelope``), the same for every reader of a key. The one promise
that all of the stream rests on: a snapshot handed to ``then`` is followed on the listener by exactly the payloads that
follow from it, with no gap and no repeat. Callbacks of ``join`` and ``settle`` come in the order of the calls; neither
is to be called from within such a callback or from the listener, where "at once" would be in the midst of a batch.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from tickwire.wire.errors import ApiError
from tickwire.wire.topics import TopicKey

__all__ = ["Feed", "Listener", "TopicKey"]


Listener = Callable[[TopicKey, bytes], None]


class Feed(Protocol):
    """A source of payloads."""

    def refusal(self, key: TopicKey) -> ApiError | None:
        """Why a well-formed key can't be joined (an unknown symbol, say), or ``None``."""

    def listen(self, listener: Listener) -> None:
        """Send every payload of every joined key to ``listener``; called once, before the first join."""

    def join(self, keys: Sequence[TopicKey], then: Callable[[Sequence[bytes | None]], None]) -> None:
        """Take interest in ``keys`` and call ``then`` with one SNAPSHOT payload a key, in the keys' order.

        ``None`` stands for one that is not known yet: the key's next payload on the listener is then a SNAPSHOT. A feed
        has that of a key only until its first payload.

        ``then`` runs at the place in the publishing order where these snapshots are true, at once where nothing is
        under way. Each join of a key is counted, and needs one ``leave``; joining again gives a fresh snapshot.
        """

    def leave(self, key: TopicKey) -> None:
        """Drop one count of interest; at zero the key's payloads end."""

    def settle(self, then: Callable[[], None]) -> None:
        """Call ``then`` once all that was rendered so far has been published, at once where nothing is under way."""
