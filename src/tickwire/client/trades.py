"""Orders and executions: topics of which nothing may be missed, with the REST histories behind them.

``account.order`` and ``account.execution`` are extensions. Where a server does not have them, the same rows are asked
for by REST once a second.

Orders are a state: after a loss of the connection the open orders come again. Those that are missing then have ended
meanwhile, and some may have been placed and ended; how, the order history tells.

Executions are events. What happened while nobody listened is read from the execution history: after each subscribing,
from the time of the last execution that was seen on. Which of them are known already is told by their ids, so that
none is missed and none comes twice. Before the first subscribing a page of the history is read, to know what lies
before the beginning.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from tickwire.client.errors import ClientError
from tickwire.client.events import Gap
from tickwire.client.feeds import Feed, Hub
from tickwire.client.rest import RestClient
from tickwire.client.states import ENDED, Inconsistent, Items, KeyedState
from tickwire.wire import rows
from tickwire.wire.topics import TopicKind

__all__ = ["ExecutionFeed", "ExecutionState", "OrderFeed"]

_POLL_SECONDS = 1.0
_RETRY_SECONDS = 0.5
# How far the order history is searched for orders that have ended unseen.
_MAX_HISTORY = 5_000
# Ids kept to tell executions apart: far more than ever happen at one point in time.
_REMEMBERED = 20_000


class OrderFeed(Feed[rows.Order, rows.Order]):
    """``account.order``; rows of orders that ended unseen come from the order history."""

    state: KeyedState[rows.Order]

    def __init__(self, hub: Hub, rest: RestClient) -> None:
        state = KeyedState(rows.Order, "order_id", keep=lambda order: order.status not in ENDED)
        super().__init__(hub, TopicKind.ORDER, state, rest.open_orders)
        self._rest = rest
        self._polling = False
        self._known_to = 0  # server's time up to which all orders have been seen, ns since the epoch

    def interrupted(self) -> None:
        """Remember how far the frames went."""
        if self._ts.isdecimal():
            self._known_to = int(self._ts)
        super().interrupted()

    def sync(self, received: int, source: Any) -> None:
        """Look for what has ended meanwhile."""
        super().sync(received, source)
        if self._known_to:
            missing, self.state.missing = self.state.missing, {}
            self.hub.spawn(self._find_ended(missing, self._known_to))
        if not self._ts:
            self._begin_to_poll()  # the server has said nothing of the topic

    def refused(self, code: str, message: str) -> None:  # noqa: ARG002
        """Ask for the open orders now and then."""
        self._begin_to_poll()

    def _begin_to_poll(self) -> None:
        if not self._polling:
            self._polling = True
            self.hub.spawn(self._poll())

    async def _poll(self) -> None:
        while self.readers and not self._ts:
            before = dict(self.state.rows)
            try:
                items = self.state.snapshot(await self._rest.open_orders(), "")
            except ClientError as error:
                if not error.temporary:
                    self.fail(error)
                    return
            else:
                if not self.synced:
                    self.sync(self.hub.now(), "rest")
                self._deliver([(key, order) for key, order in items if before.get(key) != order])
                if self.state.missing:
                    await self._find_ended(self.state.missing, None)
            await asyncio.sleep(_POLL_SECONDS)
        self._polling = False

    async def _find_ended(self, missing: dict[Hashable, rows.Order], since: int | None) -> None:
        """Show how the missing orders ended, and those that were placed since then and have ended."""
        found: list[rows.Order] | None = None
        while found is None:
            try:
                found = await self._walk(missing, since)
            except ClientError as error:
                if not error.temporary:
                    self._tell(Gap(self.hub.now(), self.name, f"the order history cannot be read: {error}"))
                    return
                await asyncio.sleep(_RETRY_SECONDS)
        self._deliver([(order.order_id, order) for order in reversed(found)])
        lost = ", ".join(map(str, missing.keys() - {order.order_id for order in found}))
        if lost:
            self._tell(Gap(self.hub.now(), self.name, f"how these orders ended is not in the history: {lost[:200]}"))

    async def _walk(self, missing: dict[Hashable, rows.Order], since: int | None) -> list[rows.Order]:
        """From the newest order back to the oldest one that is wanted."""
        found: list[rows.Order] = []
        wanted = set(missing)
        searched = 0
        async for order in self._rest.iterate_orders():
            late = since is not None and order.order_time.isdecimal() and int(order.order_time) >= since
            if order.order_id in wanted or (late and order.status in ENDED):
                found.append(order)
                wanted.discard(order.order_id)
            searched += 1
            if searched >= _MAX_HISTORY or not (wanted or late):
                break
        return found


class ExecutionState:
    """Which executions have been seen."""

    row: Any = rows.Execution
    stands_alone: bool = False

    def __init__(self) -> None:
        self.newest: int | None = None
        """When the newest one seen happened, ns since the epoch; ``None`` before ``start``."""
        self._seen: OrderedDict[str, None] = OrderedDict()

    def start(self, history: list[rows.Execution]) -> None:
        """What happened before the beginning, at least the newest of it."""
        self.newest = 0
        self.update(history, "")

    def snapshot(self, whole: list[rows.Execution], ts: str) -> Items[rows.Execution]:
        """As ``update``: what has happened stays so."""
        return self.update(whole, ts)

    def update(self, changed: list[rows.Execution], ts: str) -> Items[rows.Execution]:  # noqa: ARG002
        """Those that were not seen yet."""
        items: Items[rows.Execution] = []
        seen = self._seen
        for row in changed:
            if row.exec_id in seen:
                continue
            if not row.transact_time.isdecimal():
                raise Inconsistent(f"expected a transactTime in ns since the epoch, got {row.transact_time[:40]!r}")
            seen[row.exec_id] = None
            if len(seen) > _REMEMBERED:
                seen.popitem(last=False)
            self.newest = max(self.newest or 0, int(row.transact_time))
            items.append((row.exec_id, row))
        return items

    def current(self) -> Items[rows.Execution]:
        """Nothing: a reader gets what happens from now on."""
        return []


class ExecutionFeed(Feed[rows.Execution, rows.Execution]):
    """``account.execution``, with what was missed from the execution history."""

    state: ExecutionState

    def __init__(self, hub: Hub, rest: RestClient) -> None:
        super().__init__(hub, TopicKind.EXECUTION, ExecutionState(), self._missed)
        self._rest = rest
        self._polling = False

    def begin(self) -> None:
        """Learn what lies before the beginning, then ask for the topic."""
        self.hub.spawn(self._start())

    def connected(self) -> None:
        """Nothing is fetched before the beginning is known."""
        if self.state.newest is not None:
            super().connected()

    def sync(self, received: int, source: Any) -> None:
        """Where the server has said nothing of the topic, go on by REST."""
        super().sync(received, source)
        if not self._ts:
            self._begin_to_poll()

    def refused(self, code: str, message: str) -> None:  # noqa: ARG002
        """Ask for the history now and then."""
        self._begin_to_poll()

    def _begin_to_poll(self) -> None:
        if not self._polling:
            self._polling = True
            self.hub.spawn(self._poll())

    async def _start(self) -> None:
        while self.readers and self.state.newest is None:
            try:
                page = await self._rest.execution_history()
            except ClientError as error:
                if not error.temporary:
                    self.fail(error)
                    return
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                self.state.start(page.history)
        if self.readers:
            super().begin()

    def _take_snapshot(self, received: int, whole: list[rows.Execution], ts: str) -> Items[rows.Execution]:  # noqa: ARG002
        """It says that we are subscribed: nothing later is missed, so now is the time for what is earlier."""
        if self.synced:
            return self.state.update(whole, ts)
        self._early.extend(whole)
        self._fetch_state()
        return []

    async def _missed(self) -> list[rows.Execution]:
        start = self.state.newest or None
        found = [row async for row in self._rest.iterate_executions(start=start)]
        # The history is sorted by order, newest first.
        found.reverse()
        found.sort(key=lambda row: int(row.transact_time) if row.transact_time.isdecimal() else 0)
        return found

    async def _poll(self) -> None:
        while self.readers and not self._ts:
            try:
                items = self.state.update(await self._missed(), "")
            except ClientError as error:
                if not error.temporary:
                    self.fail(error)
                    return
            else:
                if not self.synced:
                    self.sync(self.hub.now(), "rest")
                self._deliver(items)
            await asyncio.sleep(_POLL_SECONDS)
        self._polling = False
