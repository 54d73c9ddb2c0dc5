"""From events to stream frames.

The projector renders, right after each command, the frames of every watched topic that the command changed. It keeps
for each watched topic what its readers know, so a frame goes out only when something changed, and an UPDATE follows
exactly from what was sent before. Times are those of the commands: the same commands under the same watches give the
same frames.

Two things are held back and merged: a whole order book is sent at most every ``orderbook_interval``, and changes of an
account that come from the mark price alone at most every ``account_interval``. What is held back goes out with the
first command at or after its time; ``next_due`` says when one is needed.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import msgspec

from tickwire.exchange import views
from tickwire.exchange.accounts import Account
from tickwire.exchange.events import Change, Events
from tickwire.exchange.markets import Market
from tickwire.exchange.state import State
from tickwire.wire import rows
from tickwire.wire.envelope import data_frame
from tickwire.wire.topics import PRIVATE_KINDS, TopicKey, TopicKind

__all__ = ["Frame", "ProjectionSettings", "Projector", "Watch"]

Frame = tuple[TopicKey, bytes]


class ProjectionSettings(msgspec.Struct, frozen=True):
    """Choices the contract leaves open, with its defaults. Times in ns."""

    ticker_rows: Literal["partial", "full"] = "partial"
    orderbook_mode: Literal["snapshot", "delta"] = "snapshot"
    orderbook_depth: int = 50
    orderbook_interval: int = 20_000_000
    account_interval: int = 1_000_000_000


_TICKER_NAMES = tuple(field.encode_name for field in msgspec.structs.fields(rows.Ticker))
_BID, _ASK = _TICKER_NAMES.index("bidPrice"), _TICKER_NAMES.index("askPrice")
_ORDER_WIDTH = len(msgspec.structs.fields(rows.Order))

# Accounts pushed with one command for what the mark price changed, which takes about a millisecond. A new price
# concerns all that hold a position at once; the rest of them come with the next commands.
_ACCOUNTS_AT_ONCE = 16
_astuple = msgspec.structs.astuple


class _KnownTicker(NamedTuple):
    """A ticker that was sent, as numbers and as texts."""

    facts: object
    values: tuple[str | int | None, ...]


class _KnownBook(NamedTuple):
    """The top levels that were sent, as numbers, and the texts of each."""

    sides: tuple[list[tuple[int, int]], list[tuple[int, int]]]
    texts: dict[tuple[int, int], rows.Level]


class Watch:
    """One watched topic: how many watch it, and what its readers know."""

    __slots__ = ("count", "due", "key", "known", "sent_at", "topic")

    def __init__(self, key: TopicKey) -> None:
        self.key = key
        self.topic = key.topic
        self.count = 0
        self.known: object = None  # the rendered state last sent, in a form of the topic's kind
        self.sent_at = 0
        self.due: int | None = None  # when what is held back goes out


class _MarketWatches:
    """The watched topics of one market."""

    __slots__ = ("delta", "klines", "orderbook", "ticker")

    def __init__(self) -> None:
        self.ticker: Watch | None = None
        self.orderbook: Watch | None = None
        self.delta: list[Watch] = []
        self.klines: dict[str, Watch] = {}


class _AccountWatches:
    """The watched topics of one account, and when what the mark price changed goes out."""

    __slots__ = ("by_kind", "due", "sent_at")

    def __init__(self) -> None:
        self.by_kind: dict[TopicKind, Watch] = {}
        self.sent_at = 0
        self.due: int | None = None


class Projector:
    """Renders frames for the watched topics."""

    def __init__(self, state: State, settings: ProjectionSettings | None = None) -> None:
        self.state = state
        self.settings = settings or ProjectionSettings()
        self.next_due: int | None = None
        self._released = False  # something held back has gone out: next_due is to be found anew
        self._watches: dict[TopicKey, Watch] = {}
        self._markets: dict[Market, _MarketWatches] = {}
        self._accounts: dict[str, _AccountWatches] = {}
        self._renderers: dict[TopicKind, Callable[[Account, Watch], list[object]]] = {
            TopicKind.POSITION: self._position_rows,
            TopicKind.BALANCE: self._balance_rows,
            TopicKind.MARGIN: self._margin_rows,
            TopicKind.ACCOUNT: self._account_rows,
        }

    # Watching.

    def watch(self, key: TopicKey) -> bytes:
        """Count one more watcher and give the SNAPSHOT it starts from.

        The topic's symbol and the account are known to exist.
        """
        watch = self._watches.get(key)
        if watch is None:
            watch = self._watches[key] = Watch(key)
            self._place(watch, key.account)
        watch.count += 1
        return self._snapshot(watch, key.account)

    def unwatch(self, key: TopicKey) -> None:
        """Count one watcher less; at zero the topic is no longer rendered."""
        topic, account = key.topic, key.account
        watch = self._watches[key]
        watch.count -= 1
        if watch.count:
            return
        del self._watches[key]
        if topic.kind in PRIVATE_KINDS:
            watches = self._accounts[account]
            del watches.by_kind[topic.kind]
            if not watches.by_kind:
                del self._accounts[account]
            return
        market = self.state.markets[topic.symbol]
        group = self._markets[market]
        if topic.kind is TopicKind.TICKER:
            group.ticker = None
        elif topic.kind is TopicKind.KLINE:
            del group.klines[topic.interval]
        elif watch in group.delta:
            group.delta.remove(watch)
        else:
            group.orderbook = None
        if group.ticker is None and group.orderbook is None and not group.delta and not group.klines:
            del self._markets[market]

    def _place(self, watch: Watch, account: str) -> None:
        topic = watch.topic
        if topic.kind in PRIVATE_KINDS:
            self._accounts.setdefault(account, _AccountWatches()).by_kind[topic.kind] = watch
            return
        group = self._markets.setdefault(self.state.markets[topic.symbol], _MarketWatches())
        if topic.kind is TopicKind.TICKER:
            group.ticker = watch
        elif topic.kind is TopicKind.KLINE:
            group.klines[topic.interval] = watch
        elif topic.kind is TopicKind.ORDERBOOK_DELTA or self.settings.orderbook_mode == "delta":
            group.delta.append(watch)
        else:
            group.orderbook = watch

    def _snapshot(self, watch: Watch, account: str) -> bytes:
        """The whole state of a topic; what is known to the other watchers stays as it is."""
        topic, state = watch.topic, self.state
        first = watch.count == 1
        content: list[object]
        if topic.kind is TopicKind.TICKER:
            ticker = views.ticker(state, topic.symbol)
            if first:
                watch.known = _KnownTicker(views.ticker_facts(state.markets[topic.symbol]), _astuple(ticker))
            content = [ticker]
        elif topic.kind is TopicKind.KLINE:
            market = state.markets[topic.symbol]
            candle = market.candles.current(topic.interval)
            content = [] if candle is None else [views.candle_row(market.instrument, candle)]
        elif topic.kind in (TopicKind.ORDERBOOK, TopicKind.ORDERBOOK_DELTA):
            book = state.markets[topic.symbol].book
            if watch is self._markets[state.markets[topic.symbol]].orderbook:
                depth = self.settings.orderbook_depth
                content = [views.orderbook(state, topic.symbol, depth)]
                if first:
                    watch.known = _KnownBook((book.bids.top(depth), book.asks.top(depth)), {})
                    watch.sent_at = state.time
            else:
                whole = views.orderbook(state, topic.symbol, max(len(book.bids), len(book.asks)))
                content = [rows.OrderbookDelta(topic.symbol, book.sequence, book.sequence, whole.bids, whole.asks)]
                if first:
                    watch.known = book.sequence
        elif topic.kind is TopicKind.ORDER:
            content = list(views.open_orders(state, account))
        elif topic.kind is TopicKind.EXECUTION:
            content = []  # executions are happenings: there is no state to begin with
        else:
            if first:
                watch.known = None
                content = self._renderers[topic.kind](state.accounts[account], watch)
            else:
                # A look at the state that leaves what the other watchers know untouched.
                content = self._renderers[topic.kind](state.accounts[account], Watch(watch.key))
        return data_frame(topic.name, state.time, "SNAPSHOT", content)

    # Projecting.

    def project(self, events: Events) -> list[Frame]:
        """The frames that one command brings, private ones first."""
        frames: list[Frame] = []
        if self._accounts and (events.accounts or events.executions or events.markets or self.next_due is not None):
            self._project_accounts(events, frames)
        if self._markets and (events.markets or self.next_due is not None):
            self._project_markets(events, frames)
        if self._released or (self.next_due is not None and self.next_due <= events.time):
            self._find_next_due()
        return frames

    def _hold_until(self, due: int) -> int:
        """Note that something goes out at ``due``."""
        if self.next_due is None or due < self.next_due:
            self.next_due = due
        return due

    def _find_next_due(self) -> None:
        self._released = False
        dues = [watches.due for watches in self._accounts.values() if watches.due is not None]
        books = [group.orderbook for group in self._markets.values() if group.orderbook is not None]
        dues += [watch.due for watch in books if watch.due is not None]
        self.next_due = min(dues) if dues else None

    def _project_accounts(self, events: Events, frames: list[Frame]) -> None:
        time = events.time
        for event in events.executions:
            watches = self._accounts.get(event.account)
            if watches is None:
                continue
            watch = watches.by_kind.get(TopicKind.ORDER)
            if watch is not None and event.order is not None:
                row = rows.Order(*_astuple(event.order)[:_ORDER_WIDTH])
                frames.append((watch.key, data_frame(watch.topic.name, time, "UPDATE", (row,))))
            watch = watches.by_kind.get(TopicKind.EXECUTION)
            if watch is not None:
                frames.append((watch.key, data_frame(watch.topic.name, time, "UPDATE", (event.execution,))))
        for account in events.accounts:
            touched = self._accounts.get(account.name)
            if touched is not None:
                self._push_account(account, touched, time, frames)
        # Without a mark price, positions are valued at the last one.
        repriced = [
            market
            for market, change in events.markets.items()
            if change & Change.PRICE or (change & Change.TRADE and market.mark_price is None)
        ]
        if not repriced and (self.next_due is None or self.next_due > time):
            return
        pushed = 0
        for name, watches in self._accounts.items():
            if watches.due is None and any(name in market.holders for market in repriced):
                account = self.state.accounts[name]
                if account in events.accounts:
                    continue  # pushed above
                watches.due = self._hold_until(max(time, watches.sent_at + self.settings.account_interval))
            if watches.due is not None and watches.due <= time and pushed < _ACCOUNTS_AT_ONCE:
                self._push_account(self.state.accounts[name], watches, time, frames)
                pushed += 1

    def _push_account(self, account: Account, watches: _AccountWatches, time: int, frames: list[Frame]) -> None:
        if watches.due is not None:
            watches.due = None
            self._released = True
        watches.sent_at = time
        for kind, renderer in self._renderers.items():
            watch = watches.by_kind.get(kind)
            if watch is not None:
                changed = renderer(account, watch)
                if changed:
                    payload = data_frame(watch.topic.name, time, "UPDATE", changed)
                    frames.append((watch.key, payload))

    def _position_rows(self, account: Account, watch: Watch) -> list[object]:
        known: dict[str, rows.Position] = watch.known if isinstance(watch.known, dict) else {}
        now = {row.symbol: row for row in views.positions(self.state, account.name)}
        changed: list[object] = [row for symbol, row in now.items() if known.get(symbol) != row]
        changed += [views.position(self.state, account.name, symbol) for symbol in known if symbol not in now]
        watch.known = now
        return changed

    def _balance_rows(self, account: Account, watch: Watch) -> list[object]:
        known: dict[str, rows.Balance] = watch.known if isinstance(watch.known, dict) else {}
        now = {row.asset: row for row in views.balances(self.state, account.name)}
        watch.known = now
        return [row for asset, row in now.items() if known.get(asset) != row]

    def _margin_rows(self, account: Account, watch: Watch) -> list[object]:
        return self._single(views.margin_row(self.state, account), watch)

    def _account_rows(self, account: Account, watch: Watch) -> list[object]:
        return self._single(views.account(self.state, account.name), watch)

    @staticmethod
    def _single(row: object, watch: Watch) -> list[object]:
        if row == watch.known:
            return []
        watch.known = row
        return [row]

    def _project_markets(self, events: Events, frames: list[Frame]) -> None:
        time = events.time
        for market, group in self._markets.items():
            change = events.markets.get(market, 0)
            if change & Change.BOOK:
                for watch in group.delta:
                    self._push_delta(market, watch, time, frames)
            watch_book = group.orderbook
            if watch_book is not None:
                if change & Change.BOOK and watch_book.due is None:
                    watch_book.due = self._hold_until(max(time, watch_book.sent_at + self.settings.orderbook_interval))
                if watch_book.due is not None and watch_book.due <= time:
                    self._push_orderbook(market, watch_book, time, frames)
            if not change:
                continue
            if group.ticker is not None:
                self._push_ticker(market, group.ticker, time, frames)
            if group.klines and change & (Change.TRADE | Change.CANDLE):
                self._push_klines(market, group.klines, events, frames)

    def _push_delta(self, market: Market, watch: Watch, time: int, frames: list[Frame]) -> None:
        book, instrument = market.book, market.instrument
        if book.sequence == watch.known:
            return
        bids, asks = (
            [views.level_row(instrument, (price, side.quantity_at(price))) for price in side.changed]
            for side in (book.bids, book.asks)
        )
        row = rows.OrderbookDelta(market.symbol, book.sequence, book.sequence - 1, bids, asks)
        watch.known = book.sequence
        frames.append((watch.key, data_frame(watch.topic.name, time, "UPDATE", (row,))))

    def _push_orderbook(self, market: Market, watch: Watch, time: int, frames: list[Frame]) -> None:
        watch.due = None
        self._released = True
        known, depth = watch.known, self.settings.orderbook_depth
        assert isinstance(known, _KnownBook)
        book = market.book
        sides = book.bids.top(depth), book.asks.top(depth)
        if sides == known.sides:
            return  # only deeper levels have changed
        # Most levels are those of the last time: making texts of all would take five times as long.
        texts: dict[tuple[int, int], rows.Level] = {}
        for side in sides:
            for level in side:
                texts[level] = known.texts.get(level) or views.level_row(market.instrument, level)
        bids, asks = ([texts[level] for level in side] for side in sides)
        watch.known = _KnownBook(sides, texts)
        watch.sent_at = time
        row = rows.Orderbook(market.symbol, bids, asks)
        frames.append((watch.key, data_frame(watch.topic.name, time, "SNAPSHOT", (row,))))

    def _push_ticker(self, market: Market, watch: Watch, time: int, frames: list[Frame]) -> None:
        facts = views.ticker_facts(market)
        assert isinstance(watch.known, _KnownTicker)
        if facts == watch.known.facts:
            return
        row = views.ticker_row(market.instrument, facts)
        known, now = watch.known.values, _astuple(row)
        watch.known = _KnownTicker(facts, now)
        content: object = row
        if self.settings.ticker_rows == "partial":
            changed = {"symbol": market.symbol}
            touch = now[_BID] != known[_BID] or now[_ASK] != known[_ASK]
            for index, name in enumerate(_TICKER_NAMES):
                if now[index] != known[index] or (touch and index in (_BID, _ASK)):
                    changed[name] = now[index]
            content = changed
        frames.append((watch.key, data_frame(watch.topic.name, time, "UPDATE", (content,))))

    def _push_klines(self, market: Market, watches: dict[str, Watch], events: Events, frames: list[Frame]) -> None:
        instrument = market.instrument
        closed: dict[str, list[object]] = {}
        for closed_market, interval, candle in events.closed:
            if closed_market is market and interval in watches:
                closed.setdefault(interval, []).append(views.candle_row(instrument, candle))
        traded = events.markets[market] & Change.TRADE
        for interval, watch in watches.items():
            payloads = closed.get(interval, [])
            if not payloads and not traded:
                continue
            current = market.candles.current(interval)
            if current is not None:
                payloads = [*payloads, views.candle_row(instrument, current)]
            frames.extend((watch.key, data_frame(watch.topic.name, events.time, "UPDATE", (row,))) for row in payloads)
