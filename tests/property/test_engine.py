"""Random trading of all kinds, with everything counted again after each command.

The machine keeps its commands. At the end of a run it gives them to a second engine, which is saved and loaded on the
way, and to a third one that is not: all three must have done the same.
"""

import importlib.resources
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from tests.exchange.invariants import check_invariants
from tests.property.naive_candles import NaiveCandles

from tickwire.exchange import matching, views
from tickwire.exchange.book import Order
from tickwire.exchange.commands import (
    AdjustMargin,
    AmendOrder,
    CancelAll,
    CancelOrder,
    Command,
    CreateAccount,
    Deposit,
    OrderType,
    PlaceOrder,
    SetLeverage,
    SetTradeMode,
    Tick,
    TimeInForce,
    VenuePrices,
)
from tickwire.exchange.engine import Engine
from tickwire.exchange.events import Events
from tickwire.exchange.instruments import MONEY_UNIT, load_instruments
from tickwire.exchange.settings import EngineSettings
from tickwire.exchange.state import State
from tickwire.wire.intervals import DAY, INTERVALS, MINUTE, SECOND

INSTRUMENTS = load_instruments(
    importlib.resources.files("tickwire.exchange").joinpath("instruments.toml").read_text("utf-8")
)
SYMBOLS = ("BTCUSDT.PERP", "SOLUSDT.PERP", "BTCUSDT")
PERPETUALS = SYMBOLS[:2]
# Two that can pay for everything, two that live from hand to mouth.
ACCOUNTS = {"anna": 5_000_000, "boris": 5_000_000, "carl": 3_000, "dora": 400}
START_PRICE = {"BTCUSDT.PERP": 500_000, "SOLUSDT.PERP": 15_000, "BTCUSDT": 500_000}
# Steps of a "unit" of trading: worth some 500 USDT at the start.
UNIT = {"BTCUSDT.PERP": 10_000, "SOLUSDT.PERP": 3_333, "BTCUSDT": 10_000}
START = 20_000 * DAY + 8 * 60 * MINUTE - 90 * SECOND  # a minute and a half before a funding time

accounts = st.sampled_from(list(ACCOUNTS))
symbols = st.sampled_from(SYMBOLS)
perpetuals = st.sampled_from(PERPETUALS)
sides = st.sampled_from((1, -1))
# Prices are a few hundredths of a percent from the reference, so that orders meet often.
offsets = st.integers(-12, 12)
units = st.integers(1, 12)


class Trading(RuleBasedStateMachine):
    """Four accounts, two perpetuals and a spot pair."""

    def __init__(self) -> None:
        super().__init__()
        self.settings = EngineSettings(insurance_fund=100 * MONEY_UNIT)
        self.engine = Engine(INSTRUMENTS, self.settings)
        self.time = START
        self.commands: list[tuple[int, Command]] = []
        self.outcomes: list[Any] = []
        self.reference = dict(START_PRICE)
        self.candles = {symbol: NaiveCandles() for symbol in SYMBOLS}
        self.fills = 0
        self.save_at: set[int] = set()
        self.whole = True
        self._settle = matching.settle
        matching.settle = self._watch_fill  # looks at each fill, and lets it happen

    def _watch_fill(self, state: State, order: Order, price: int, quantity: int, notional: int, fee_rate: int) -> None:
        position = order.account.positions.get(order.symbol)
        before = 0 if position is None else position.quantity
        assert quantity > 0
        assert notional == price * quantity * order.market.multiplier
        if order.price is not None:
            assert (price - order.price) * order.side <= 0, "filled beyond its limit"
        if order.max_slippage_price is not None:
            assert (price - order.max_slippage_price) * order.side <= 0, "filled beyond maxSlippagePrice"
        self._settle(state, order, price, quantity, notional, fee_rate)
        assert order.filled_quantity + order.remaining == order.quantity
        if order.amount is not None and order.type == OrderType.MARKET:
            assert order.filled_cost <= order.amount
        if order.reduce_only:
            assert position is not None
            assert before * order.side < 0, "a reduce-only fill without a position to reduce"
            assert abs(position.quantity) == abs(before) - quantity, "a reduce-only fill that grows or flips"
        self.fills += 1
        if self.fills % 2 == 0:  # the maker's side of a trade is settled first, then the taker's
            self.candles[order.symbol].trade(state.time, price, quantity, notional)

    def teardown(self) -> None:
        matching.settle = self._settle
        if not self.whole:
            return  # a command has failed half way: that is the failure to look at
        for symbol, naive in self.candles.items():
            candles = self.engine.markets[symbol].candles
            for interval in INTERVALS:
                naive.check(interval, [c.values() for c in candles.between(interval, None, None, 5_000)], self.time)
        self._replay(self.save_at)

    def _replay(self, save_at: set[int]) -> None:
        """The same commands on another engine, saved and loaded on the way, give the same."""
        engine = Engine(INSTRUMENTS, self.settings)
        for number, ((time, command), outcome) in enumerate(zip(self.commands, self.outcomes, strict=True)):
            if number in save_at:
                data = engine.dump()
                engine = Engine.load(INSTRUMENTS, self.settings, data)
                assert engine.dump() == data
            assert outcome_of(engine.apply(time, command)) == outcome
        assert engine.dump() == self.engine.dump()
        assert everything_seen(engine) == everything_seen(self.engine)

    # Commands.

    def apply(self, command: Command) -> Events:
        before = without_time(self.engine)
        self.whole = False
        events = self.engine.apply(self.time, command)
        self.whole = True
        self.commands.append((self.time, command))
        self.outcomes.append(outcome_of(events))
        if events.error is not None:
            assert without_time(self.engine) == before, "a refused command changed something"
            assert not events.executions
        return events

    def let_pass(self, duration: int) -> None:
        self.time += duration
        assert self.apply(Tick()).error is None

    def price(self, symbol: str, offset: int) -> int:
        reference = self.reference[symbol]
        return max(1, reference + reference * offset // 2_000)

    def reducing(self, name: str, symbol: str, side: int, wanted: bool) -> tuple[int, bool]:
        """(side, reduce-only): the side that reduces, where there is something to reduce."""
        position = self.engine.accounts[name].positions.get(symbol)
        if not wanted or symbol not in PERPETUALS or position is None or not position.quantity:
            return side, wanted and symbol in PERPETUALS
        return (-1 if position.quantity > 0 else 1), True

    @initialize(
        leverages=st.lists(st.sampled_from([1, 5, 10, 25, 50, 50]), min_size=8, max_size=8),
        isolated=st.lists(st.booleans(), min_size=8, max_size=8),
        save_at=st.sets(st.integers(0, 400), max_size=4),
        sizes=st.lists(st.integers(-8, 8), min_size=8, max_size=8),
    )
    def open_accounts(self, leverages: list[int], isolated: list[bool], save_at: set[int], sizes: list[int]) -> None:
        self.save_at = save_at
        self.let_pass(0)
        for name, amount in ACCOUNTS.items():
            self.apply(CreateAccount(name, house=name == "boris"))
            self.apply(Deposit(name, "USDT", amount * MONEY_UNIT))
            self.apply(Deposit(name, "BTC", 50 * MONEY_UNIT // (1 if amount > 10_000 else 1_000)))
        for index, (name, symbol) in enumerate([(n, s) for n in ACCOUNTS for s in PERPETUALS]):
            self.apply(SetLeverage(name, symbol, leverages[index], isolated[index]))
        for symbol in PERPETUALS:
            self.apply(VenuePrices(symbol, (self.reference[symbol],) * 3))
        for symbol in SYMBOLS:
            self.fill_book(symbol, 30)
        for index, (name, symbol) in enumerate([(n, s) for n in ACCOUNTS for s in PERPETUALS]):
            if sizes[index]:
                side = 1 if sizes[index] > 0 else -1
                quantity = abs(sizes[index]) * UNIT[symbol]
                self.apply(PlaceOrder(name, symbol, side, OrderType.MARKET, quantity))

    @rule(symbol=symbols, size=st.integers(1, 40))
    def fill_book(self, symbol: str, size: int) -> None:
        """The two rich ones quote on both sides, so that there is something to trade with."""
        for name, offset in (("anna", -1), ("boris", 1), ("boris", -3), ("anna", 3)):
            side = 1 if offset < 0 else -1
            self.apply(
                PlaceOrder(name, symbol, side, OrderType.LIMIT, size * UNIT[symbol], price=self.price(symbol, offset))
            )

    @rule(
        name=accounts,
        symbol=symbols,
        side=sides,
        size=units,
        offset=offsets,
        time_in_force=st.sampled_from([TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK]),
        reduce_only=st.booleans(),
        by_amount=st.booleans(),
        match_counterparty=st.sampled_from([False, False, False, True]),
    )
    def limit(
        self, name: str, symbol: str, side: int, size: int, offset: int, time_in_force: int, reduce_only: bool,
        by_amount: bool, match_counterparty: bool,
    ) -> None:  # fmt: skip
        side, reduce_only = self.reducing(name, symbol, side, reduce_only)
        price = self.price(symbol, offset)
        quantity = size * UNIT[symbol]
        events = self.apply(
            PlaceOrder(
                name,
                symbol,
                side,
                OrderType.LIMIT,
                quantity=None if by_amount else quantity,
                amount=quantity * price * INSTRUMENTS[symbol].multiplier + 12_345 if by_amount else None,
                price=None if match_counterparty else price,
                time_in_force=time_in_force,
                reduce_only=reduce_only,
                match_counterparty=match_counterparty,
            )
        )
        order = events.order
        if order is not None and time_in_force != TimeInForce.GTC:
            assert order.id not in self.engine.accounts[name].orders
            if time_in_force == TimeInForce.FOK:
                assert order.filled_quantity in (0, order.quantity), "a FOK order filled in part"

    @rule(
        name=accounts,
        symbol=symbols,
        side=sides,
        size=units,
        reduce_only=st.booleans(),
        by_amount=st.booleans(),
        worst=st.none() | offsets,
    )
    def market(
        self, name: str, symbol: str, side: int, size: int, reduce_only: bool, by_amount: bool, worst: int | None
    ) -> None:
        side, reduce_only = self.reducing(name, symbol, side, reduce_only)
        quantity = size * UNIT[symbol]
        events = self.apply(
            PlaceOrder(
                name,
                symbol,
                side,
                OrderType.MARKET,
                quantity=None if by_amount else quantity,
                amount=quantity * self.reference[symbol] * INSTRUMENTS[symbol].multiplier if by_amount else None,
                reduce_only=reduce_only,
                max_slippage_price=None if worst is None else self.price(symbol, worst),
            )
        )
        if events.order is not None:
            assert events.order.id not in self.engine.accounts[name].orders
            assert events.order.status in ("FILLED", "CANCELED")

    @rule(name=accounts, other=accounts, symbol=perpetuals, size=units, taken=st.integers(1, 30))
    def rest_reduce_only(self, name: str, other: str, symbol: str, size: int, taken: int) -> None:
        """An order that would close more than there is stands first in the book, and is met."""
        position = self.engine.accounts[name].positions[symbol]
        if not position.quantity:
            return
        side = -1 if position.quantity > 0 else 1
        best = self.engine.markets[symbol].book.side(-side).best
        price = self.reference[symbol] if best is None else best - side  # as near as it can rest
        quantity = abs(position.quantity) + size * UNIT[symbol] // 2
        self.apply(PlaceOrder(name, symbol, side, OrderType.LIMIT, quantity, price=price, reduce_only=True))
        self.apply(PlaceOrder(other, symbol, -side, OrderType.MARKET, taken * UNIT[symbol]))

    @rule(name=accounts, symbol=symbols, side=sides, size=units, offset=offsets, reduce_only=st.booleans())
    def stop(self, name: str, symbol: str, side: int, size: int, offset: int, reduce_only: bool) -> None:
        side, reduce_only = self.reducing(name, symbol, side, reduce_only)
        self.apply(
            PlaceOrder(
                name,
                symbol,
                side,
                OrderType.STOP_MARKET,
                quantity=size * UNIT[symbol],
                trigger_price=self.price(symbol, offset),
                reduce_only=reduce_only,
            )
        )

    def open_orders(self) -> list[Order]:
        return [order for account in self.engine.accounts.values() for order in account.orders.values()]

    @rule(data=st.data(), everything=st.sampled_from([False] * 5 + [True]))
    def cancel(self, data: st.DataObject, everything: bool) -> None:
        orders = self.open_orders()
        if not orders:
            return
        order = data.draw(st.sampled_from(orders))
        name, account = order.account.name, order.account
        if everything:
            symbol = data.draw(st.sampled_from([None, order.symbol]))
            assert self.apply(CancelAll(name, symbol)).error is None
            assert not [o for o in account.orders.values() if symbol in (None, o.symbol)]
        else:
            assert self.apply(CancelOrder(name, order.symbol, order.id)).error is None
            assert order.id not in account.orders
        # The price may move with the cancelled order and fire what it had guarded; itself it trades no more.
        assert order.status == "CANCELED"

    @rule(data=st.data(), take_profit=st.none() | st.integers(0, 5), stop_loss=st.none() | st.integers(0, 5))
    def amend(self, data: st.DataObject, take_profit: int | None, stop_loss: int | None) -> None:
        orders = self.open_orders()
        for account in self.engine.accounts.values():
            for position in account.positions.values():
                orders += position.opened_by.values()
        if not orders:
            return
        order = data.draw(st.sampled_from(sorted(orders, key=lambda o: o.id)))
        self.apply(
            AmendOrder(
                order.account.name,
                order.symbol,
                order.id,
                None if take_profit is None else self.price(order.symbol, order.side * take_profit),
                None if stop_loss is None else self.price(order.symbol, -order.side * stop_loss),
            )
        )

    @rule(
        name=accounts,
        symbol=perpetuals,
        kind=st.sampled_from(["leverage", "leverage", "margin", "margin", "money", "mode"]),
        leverage=st.integers(1, 101),
        isolated=st.none() | st.booleans(),
        amount=st.integers(-300, 300).filter(bool),
        asset=st.sampled_from(["USDT", "USDT", "BTC"]),
    )
    def settle_account(
        self, name: str, symbol: str, kind: str, leverage: int, isolated: bool | None, amount: int, asset: str
    ) -> None:
        account = self.engine.accounts[name]
        if kind == "leverage":
            as_before = account.positions[symbol].isolated
            self.apply(SetLeverage(name, symbol, leverage, as_before if isolated is None else isolated))
        elif kind == "margin":
            held = [p.market.symbol for p in account.positions.values() if p.isolated and p.quantity]
            self.apply(AdjustMargin(name, held[0] if held else symbol, amount * MONEY_UNIT))
        elif kind == "money":
            self.apply(Deposit(name, asset, amount * (MONEY_UNIT if asset == "USDT" else MONEY_UNIT // 100)))
        else:
            self.apply(SetTradeMode(name, True))
            refused = self.apply(PlaceOrder(name, symbol, 1, OrderType.MARKET, UNIT[symbol])).error
            assert refused is not None
            assert refused.code == "InvalidTradeMode"
            self.apply(SetTradeMode(name, False))

    @rule(symbol=perpetuals, percent=st.integers(-20, 20), venues=st.lists(st.integers(-9, 9), min_size=1, max_size=3))
    def move_price(self, symbol: str, percent: int, venues: list[int]) -> None:
        """The price moves, at times so far that somebody is liquidated; the mark follows in the seconds after."""
        if abs(percent) > 8:  # as often as not the venues alone move, a little and against each other
            self.reference[symbol] += self.reference[symbol] * (percent - 4) // 100
            if symbol == PERPETUALS[0]:
                self.reference["BTCUSDT"] = self.reference[symbol]
        reference = self.reference[symbol]
        self.apply(VenuePrices(symbol, tuple(reference + reference * venue // 400 for venue in venues)))
        check_invariants(self.engine)
        for _ in range(2):
            self.let_pass(SECOND)

    @rule(duration=st.sampled_from([1, SECOND // 3, SECOND, 20 * SECOND, MINUTE, 7 * MINUTE, 8 * 60 * MINUTE]))
    def wait(self, duration: int) -> None:
        self.let_pass(duration)

    @invariant()
    def holds(self) -> None:
        check_invariants(self.engine)
        for symbol, naive in self.candles.items():
            assert self.engine.markets[symbol].candles.statistics() == naive.statistics(self.time), symbol


def without_time(engine: Engine) -> dict[str, Any]:
    """The state but for what every command changes."""
    document: dict[str, Any] = msgspec.msgpack.decode(engine.dump())
    del document["sequence"]
    return document


def outcome_of(events: Events) -> tuple[Any, ...]:
    """What one command did, as plain values."""
    return (
        None if events.error is None else (events.error.code, events.error.message),
        None if events.order is None else events.order.id,
        [msgspec.json.encode((e.execution, e.order)) for e in events.executions],
        [account.name for account in events.accounts],
        [(market.symbol, int(change)) for market, change in events.markets.items()],
        [(market.symbol, interval, candle.values()) for market, interval, candle in events.closed],
    )


def everything_seen(engine: Engine) -> list[Any]:
    """All that a client can ask for."""
    seen: list[Any] = [views.tickers(engine), views.contracts(engine), views.funding_infos(engine)]
    for symbol in engine.markets:
        seen.append(views.orderbook(engine, symbol, 1_000))
        seen += [views.klines(engine, symbol, interval, None, None, 1_000) for interval in INTERVALS]
    for name in engine.accounts:
        seen += [views.account(engine, name), views.margins(engine, name), views.balances(engine, name)]
        seen += [views.positions(engine, name), views.open_orders(engine, name)]
    return seen


# It looks at each fill from inside, which a compiled module does not let it do; ``test_compiled`` compares the two.
@pytest.mark.skipif(not str(matching.__file__).endswith(".py"), reason="the core is compiled")
@pytest.mark.timeout(600)  # some 15 s of one core; on a machine with much else to do far longer
def test_trading_keeps_every_invariant_and_replays_the_same() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Trading,
        settings=settings(
            max_examples=80,
            stateful_step_count=80,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
