"""An engine to try things on, spoken to in the decimal texts of the wire."""

import importlib.resources
from typing import Any

import msgspec
from tests.exchange.invariants import check_invariants

from tickwire.exchange.accounts import Account, Position
from tickwire.exchange.book import Order
from tickwire.exchange.commands import (
    AdjustMargin,
    AmendOrder,
    Command,
    CreateAccount,
    Deposit,
    OrderType,
    PlaceOrder,
    SetLeverage,
    Side,
    Tick,
    TimeInForce,
    VenuePrices,
)
from tickwire.exchange.engine import Engine
from tickwire.exchange.events import Events
from tickwire.exchange.instruments import MONEY_PLACES, Instrument, load_instruments
from tickwire.exchange.markets import Market
from tickwire.exchange.settings import EngineSettings
from tickwire.wire.decimals import format_decimal, parse_decimal
from tickwire.wire.errors import ApiError
from tickwire.wire.intervals import DAY, SECOND

BTC, ETH, SOL, SPOT = "BTCUSDT.PERP", "ETHUSDT.PERP", "SOLUSDT.PERP", "BTCUSDT"
# A midnight in UTC, so also a funding time.
START = 20_000 * DAY
BUY, SELL = Side.BUY, Side.SELL


DEFAULT_INSTRUMENTS = importlib.resources.files("tickwire.exchange").joinpath("instruments.toml").read_text("utf-8")


def money(text: str) -> int:
    """An amount of money of the engine."""
    return parse_decimal(text, MONEY_PLACES)


def amount_text(amount: int) -> str:
    """The engine's money as text."""
    return format_decimal(amount, MONEY_PLACES)


def without_time(data: bytes) -> dict[str, Any]:
    """A dump without what every command changes."""
    document: dict[str, Any] = msgspec.msgpack.decode(data)
    del document["time"], document["sequence"]
    return document


class World:
    """An engine, its time, and short words for its commands; the invariants are asserted after each."""

    def __init__(self, *accounts: str, instruments: dict[str, Instrument] | None = None, **settings: Any) -> None:
        self.engine = Engine(instruments or load_instruments(DEFAULT_INSTRUMENTS), EngineSettings(**settings))
        self.time = START
        self.apply(Tick())
        for account in accounts:
            self.open(account)

    # Commands.

    def apply(self, command: Command) -> Events:
        """Apply a command now, refused or not."""
        events = self.engine.apply(self.time, command)
        assert events.sequence == self.engine.sequence
        check_invariants(self.engine)
        return events

    def do(self, command: Command) -> Events:
        """Apply a command that is to be accepted."""
        events = self.apply(command)
        assert events.error is None, events.error
        return events

    def refuse(self, command: Command, code: str) -> ApiError:
        """Apply a command that is to be refused with ``code`` and to leave no trace."""
        before = without_time(self.engine.dump())
        events = self.apply(command)
        assert events.error is not None, f"expected {code}, got it accepted"
        assert events.error.code == code, events.error
        assert without_time(self.engine.dump()) == before, "a refused command changed something"
        assert not events.executions
        return events.error

    def open(self, account: str, amount: str = "1000000", asset: str = "USDT", house: bool = False) -> None:
        """Open an account and give it money."""
        self.do(CreateAccount(account, house))
        if parse_decimal(amount, MONEY_PLACES):
            self.deposit(account, amount, asset)

    def deposit(self, account: str, amount: str, asset: str = "USDT") -> None:
        """Give money."""
        self.do(Deposit(account, asset, money(amount)))

    def command(
        self, account: str, side: int, quantity: str | None, price: str | None = None, symbol: str = BTC, **more: Any
    ) -> PlaceOrder:
        """An order command: LIMIT with a price, MARKET without; ``trigger`` makes it a STOP_MARKET."""
        instrument = self.market(symbol).instrument
        trigger, worst, amount = more.pop("trigger", None), more.pop("worst", None), more.pop("amount", None)
        limit = price is not None or more.get("match_counterparty", False)
        kind = OrderType.STOP_MARKET if trigger is not None else OrderType.LIMIT if limit else OrderType.MARKET
        return PlaceOrder(
            account,
            symbol,
            side,
            kind,
            quantity=None if quantity is None else instrument.parse_quantity("quantity", quantity),
            amount=None if amount is None else money(amount),
            price=None if price is None else instrument.parse_price("price", price),
            trigger_price=None if trigger is None else instrument.parse_price("price", trigger),
            max_slippage_price=None if worst is None else instrument.parse_price("maxSlippagePrice", worst),
            **more,
        )

    def buy(
        self, account: str, quantity: str | None, price: str | None = None, symbol: str = BTC, **more: Any
    ) -> Order:
        """Place a BUY order that is to be accepted."""
        return self.place(self.command(account, BUY, quantity, price, symbol, **more))

    def sell(
        self, account: str, quantity: str | None, price: str | None = None, symbol: str = BTC, **more: Any
    ) -> Order:
        """Place a SELL order that is to be accepted."""
        return self.place(self.command(account, SELL, quantity, price, symbol, **more))

    def place(self, command: PlaceOrder) -> Order:
        """Place an order that is to be accepted."""
        order = self.do(command).order
        assert order is not None
        return order

    def exits(self, order: Order, take_profit: str | None = None, stop_loss: str | None = None) -> AmendOrder:
        """The command that sets an order's exits."""
        parse = order.market.instrument.parse_price
        return AmendOrder(
            order.account.name,
            order.symbol,
            order.id,
            None if take_profit is None else parse("newTakeProfitPrice", take_profit),
            None if stop_loss is None else parse("newStopLossPrice", stop_loss),
        )

    def leverage(self, account: str, leverage: int, isolated: bool = False, symbol: str = BTC) -> None:
        """Set leverage and margin type."""
        self.do(SetLeverage(account, symbol, leverage, isolated))

    def add_margin(self, account: str, amount: str, symbol: str = BTC) -> None:
        """Add margin to an isolated position, or take it out."""
        self.do(AdjustMargin(account, symbol, money(amount)))

    def wait(self, duration: int = SECOND) -> Events:
        """Let time pass."""
        self.time += duration
        return self.do(Tick())

    def venues(self, *prices: str, symbol: str = BTC) -> Events:
        """Prices of the index venues."""
        parse = self.market(symbol).instrument.parse_price
        return self.do(VenuePrices(symbol, tuple(parse("price", price) for price in prices)))

    def trade(self, price: str, quantity: str, buyer: str, seller: str, symbol: str = BTC) -> None:
        """Let two accounts trade at a price; nobody else's order may be in the way."""
        bought = self.buy(buyer, quantity, price, symbol)
        sold = self.sell(seller, quantity, price, symbol, time_in_force=TimeInForce.IOC)
        assert (bought.status, sold.status) == ("FILLED", "FILLED")

    def mark(self, price: str, symbol: str = BTC) -> None:
        """Move index, last price and with them the mark to a price, by a tiny trade of two house accounts.

        Mark is the median of three, of which two are then this price.
        """
        market = self.market(symbol)
        target = market.instrument.parse_price("price", price)
        index = market.index_price or target
        while index != target:  # in steps that the index does not stop at
            index = min(target, index * 6 // 5) if target > index else max(target, index * 5 // 6)
            self.do(VenuePrices(symbol, (index,)))
        self.do(VenuePrices(symbol, (target,)))
        for name in ("house buyer", "house seller"):
            if name not in self.engine.accounts:
                self.open(name, "1000000000", house=True)
        steps = -(-market.instrument.min_notional // (target * market.multiplier))
        self.trade(price, market.instrument.quantity_text(steps), "house buyer", "house seller", symbol)

    # Looks.

    def market(self, symbol: str = BTC) -> Market:
        """The market of a symbol."""
        return self.engine.markets[symbol]

    def account(self, name: str) -> Account:
        """An account."""
        return self.engine.accounts[name]

    def position(self, account: str, symbol: str = BTC) -> Position:
        """An account's position."""
        return self.account(account).positions[symbol]

    def size(self, account: str, symbol: str = BTC) -> str:
        """The signed size of a position, as text."""
        position = self.account(account).positions.get(symbol)
        instrument = self.market(symbol).instrument
        return instrument.quantity_text(0 if position is None else position.quantity)

    def wallet(self, account: str, asset: str = "USDT") -> str:
        """A wallet, as text."""
        return amount_text(self.account(account).wallets.get(asset, 0))

    def free(self, account: str) -> str:
        """What an account may still use, as text."""
        return amount_text(self.engine.free(self.account(account)))

    def bids(self, symbol: str = BTC) -> list[tuple[str, str]]:
        """The bids as texts, best first."""
        return self._levels(symbol, BUY)

    def asks(self, symbol: str = BTC) -> list[tuple[str, str]]:
        """The asks as texts, best first."""
        return self._levels(symbol, SELL)

    def _levels(self, symbol: str, side: int) -> list[tuple[str, str]]:
        market = self.market(symbol)
        text, quantity = market.instrument.price_text, market.instrument.quantity_text
        return [(text(price), quantity(steps)) for price, steps in market.book.side(side).top(1000)]
