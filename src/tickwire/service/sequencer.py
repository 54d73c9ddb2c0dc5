"""The one writer: puts commands in order, and lets replies and frames out once their command is committed.

What a loop turn brings is applied at once and makes one batch for the journal. Replies and frames are rendered right
after their command and kept with the batch; they leave, in order, when the batch is on disk. Nothing waits for a timer.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import TypeVar

from tickwire.bus.local import LocalFeed
from tickwire.exchange.commands import Command, CreateAccount, Deposit, Tick
from tickwire.exchange.engine import Engine
from tickwire.exchange.events import Events
from tickwire.exchange.executions import ExecutionEvent, FundingEvent
from tickwire.exchange.projection import Frame, Projector
from tickwire.journal.records import Batch
from tickwire.journal.store import Store
from tickwire.keys.keyring import KeyRing
from tickwire.metrics import Histogram
from tickwire.service.clock import ExchangeClock
from tickwire.service.history import record_history
from tickwire.wire.errors import ApiError

__all__ = ["Sequencer"]

T = TypeVar("T")
Output = Callable[[], None]


class _Pending:
    """A batch under way, with what leaves after its commit."""

    __slots__ = ("batch", "begun", "executions", "outputs")

    def __init__(self, first_sequence: int) -> None:
        self.batch = Batch(first_sequence, [], [], [])
        self.executions: list[ExecutionEvent | FundingEvent] = []
        self.outputs: list[Output | list[Frame]] = []
        self.begun = 0.0  # when it went to the journal


class Sequencer:
    """Runs the engine for the service; the ``Gateway`` of the REST application."""

    def __init__(
        self,
        engine: Engine,
        projector: Projector,
        store: Store,
        keys: KeyRing,
        *,
        loop: asyncio.AbstractEventLoop,
        initial_deposit: int,
        snapshot_every: int,
        failed: Callable[[Exception], None],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """``clock`` is the machine's, in ns; the exchange's time follows it, but never goes back."""
        self.engine = engine
        self.store = store
        self.keys = keys
        self.feed = LocalFeed(projector, self._settle)
        self._projector = projector
        self._loop = loop
        self.clock = clock
        self.now = ExchangeClock(engine.time, wall=clock)
        self._initial_deposit = initial_deposit
        self._snapshot_every = snapshot_every
        self._snapshot_at = engine.sequence + snapshot_every
        self._failed = failed
        self._failure: Exception | None = None
        self._gathering: _Pending | None = None  # of this loop turn
        self._committing: deque[_Pending] = deque()
        self._due_timer: asyncio.TimerHandle | None = None
        self._due_at = 0
        # For the metrics.
        self.commands: dict[type, int] = {}
        self.refusals: dict[tuple[type, str], int] = {}  # by command and code
        self.failures = 0  # batches and snapshots that could not be kept
        self.commit_seconds = Histogram()  # from the handing over of a batch to the report that it is kept
        self.snapshot_seconds = Histogram()  # from the writing down of the state to the report that it is kept

    @property
    def running(self) -> bool:
        """Whether commands are taken: not after the journal has failed."""
        return self._failure is None

    # Commands.

    def apply(self, command: Command) -> Events:
        """Apply a command now; what it shows to clients leaves after its commit."""
        if self._failure is not None:
            raise ApiError("Unavailable")
        events = self.engine.apply(self.now(), command)
        kind = type(command)
        self.commands[kind] = self.commands.get(kind, 0) + 1
        if events.error is not None:
            refusal = kind, events.error.code
            self.refusals[refusal] = self.refusals.get(refusal, 0) + 1
        pending = self._gather(events.sequence)
        pending.batch.commands.append((events.time, command))
        if events.executions:
            pending.executions += events.executions
        frames = self._projector.project(events)
        if frames:
            pending.outputs.append(frames)
        if self._projector.next_due is not None:
            self._arm_due_timer(self._projector.next_due)
        return events

    async def submit(self, command: Command, render: Callable[[Events], T]) -> T:
        """Apply a command, render its reply at once, and give it back after the commit.

        Raises ``ApiError`` when the command is refused, also after the commit: the refusal may rest on what is not on
        disk yet.
        """
        events = self.apply(command)
        result = None if events.error is not None else render(events)
        await self.settled()
        if events.error is not None:
            raise events.error
        return result  # type: ignore[return-value]  # it is T: only a refusal leaves it None

    async def settled(self) -> None:
        """Wait until all that the state now shows is committed."""
        if self._gathering is None and not self._committing:
            if self._failure is not None:
                raise ApiError("Unavailable")
            return
        future: asyncio.Future[None] = self._loop.create_future()
        self._settle(lambda: None if future.done() else future.set_result(None))
        await future
        if self._failure is not None:
            raise ApiError("Unavailable")

    async def open_account(self, account: str) -> None:
        """Open and fund an account; one that exists is left as it is."""
        if account not in self.engine.accounts:
            self.apply(CreateAccount(account))
            if self._initial_deposit:
                self.apply(Deposit(account, self.engine.collateral, self._initial_deposit))
        await self.settled()

    # Batches.

    def _gather(self, sequence: int) -> _Pending:
        pending = self._gathering
        if pending is None:
            pending = self._gathering = _Pending(sequence)
            self._loop.call_soon(self.flush)
        return pending

    def flush(self) -> None:
        """Hand this turn's batch to the journal."""
        pending, self._gathering = self._gathering, None
        if pending is None:
            return
        record_history(pending.batch, pending.executions)
        self._committing.append(pending)
        pending.begun = perf_counter()
        self.store.commit(pending.batch, self._committed)
        if self.engine.sequence >= self._snapshot_at:
            self.save_snapshot()

    def save_snapshot(self) -> None:
        """Keep the state as it is now; the journal's writer does it behind the batches already handed over."""
        self.flush()
        self._snapshot_at = self.engine.sequence + self._snapshot_every
        begun = perf_counter()

        def saved(error: Exception | None) -> None:
            if error is not None:
                self._fail(error)
            else:
                self.snapshot_seconds.observe(perf_counter() - begun)

        self.store.save_snapshot(self.engine.sequence, self.engine.dump(), saved)

    def _committed(self, error: Exception | None) -> None:
        pending = self._committing.popleft()
        if error is not None:
            self._fail(error)
        else:
            self.commit_seconds.observe(perf_counter() - pending.begun)
        for output in pending.outputs:
            if isinstance(output, list):
                if self._failure is None:
                    self.feed.publish(output)
            else:
                output()  # whoever waits looks at the failure itself

    def _fail(self, error: Exception) -> None:
        self.failures += 1
        if self._failure is None:
            self._failure = error
            self._failed(error)

    def _settle(self, then: Output) -> None:
        if self._gathering is not None:
            self._gathering.outputs.append(then)
        elif self._committing:
            self._committing[-1].outputs.append(then)
        else:
            then()

    # Time.

    def _arm_due_timer(self, due: int) -> None:
        """Wake for what the projector holds back, should no other command come first."""
        if self._due_timer is not None:
            if self._due_at <= due:
                return
            self._due_timer.cancel()
        self._due_at = due
        delay = max(0, due - self.now()) / 1e9
        self._due_timer = self._loop.call_later(delay, self._due)

    def _due(self) -> None:
        self._due_timer = None
        due = self._projector.next_due
        if due is None or self._failure is not None:
            return
        if due <= self.now():
            self.apply(Tick())
        else:
            self._arm_due_timer(due)

    async def close(self) -> None:
        """Commit what is under way and keep a last snapshot."""
        if self._due_timer is not None:
            self._due_timer.cancel()
        if self._failure is None:
            self.save_snapshot()
            await self.settled()
