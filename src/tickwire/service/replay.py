"""The state of an exchange out of its journal: a snapshot, and each command after it under the rules of its time."""

from collections import deque
from collections.abc import Callable

from tickwire import __version__
from tickwire.exchange.events import Events
from tickwire.exchange.snapshot import SnapshotError
from tickwire.journal.records import Batch, Recovery
from tickwire.service.rules import Rules

__all__ = ["Replay"]


class Replay:
    """An engine that is brought forward batch by batch.

    ``rules`` are those of the newest command; ``versions`` are the other versions of the program that made some of the
    commands.
    """

    def __init__(self, recovery: Recovery, otherwise: Rules) -> None:
        """Begin at the snapshot. ``otherwise`` are the rules where none are kept, on a new directory.

        Raises ``RulesError`` and ``SnapshotError``.
        """
        self._coming = deque((first, Rules.decode(data)) for first, data in recovery.rules)
        self.rules = self._coming.popleft()[1] if self._coming else otherwise
        try:
            self.engine = self.rules.engine(recovery.snapshot)
        except SnapshotError as error:
            raise SnapshotError(
                f"the snapshot at sequence {recovery.sequence} can't be taken over: {error}; it was written by tickwire"
                f" {self.rules.version}: go on with that one, or take what you need out of it (tickwire export) and"
                " start with an empty --data"
            ) from None
        self.commands = 0
        self.versions: set[str] = set()

    def run(self, batch: Batch, seen: Callable[[Events], None] | None = None) -> None:
        """Apply the next batch; ``seen`` is called after each command. Raises as the constructor does."""
        # A run of the server begins with a batch of its own.
        while self._coming and self._coming[0][0] <= batch.first_sequence:
            self.rules = self._coming.popleft()[1]
            self.engine = self.rules.engine(self.engine.dump())
        if self.rules.version != __version__:
            self.versions.add(self.rules.version)
        apply = self.engine.apply
        for time, command in batch.commands:
            events = apply(time, command)
            if seen is not None:
                seen(events)
        self.commands += len(batch.commands)
