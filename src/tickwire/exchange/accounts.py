"""Accounts: wallets, positions with their leverage settings, and open orders.

What an account has free is computed from a few sums that are kept up to date where they change, so it costs the same
with one open order and with a thousand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tickwire.exchange.instruments import RATE_UNIT

if TYPE_CHECKING:
    from tickwire.exchange.book import Order
    from tickwire.exchange.conditionals import Bracket
    from tickwire.exchange.markets import Market

__all__ = ["Account", "Position"]

# How many orders that opened a position are remembered for PUT /trade/order on a filled order.
REMEMBERED_ORDERS = 100


class Position:
    """An account's side of one perpetual: the net position, its settings, and the sums of its open orders."""

    __slots__ = (
        "added_margin", "alarm", "alarm_price", "brackets", "buy_quantity", "buy_reserve", "cost", "explicit",
        "fees_paid", "funding_paid", "isolated", "leverage", "market", "opened_by", "order_reserve", "quantity",
        "reduce_only_orders", "sell_quantity", "sell_reserve",
    )  # fmt: skip

    def __init__(self, market: Market, leverage: int) -> None:
        self.market = market
        self.leverage = leverage
        self.isolated = False
        self.explicit = False  # leverage was set by the client: the row is shown without a position
        self.quantity = 0  # signed steps
        self.cost = 0  # signed money: sum of the notionals that opened it
        self.added_margin = 0  # isolated: added - removed + funding received - funding paid
        self.fees_paid = 0  # since the position was opened
        self.funding_paid = 0  # since the position was opened; negative when received
        self.buy_quantity = 0  # steps of open orders that are not reduce-only
        self.buy_reserve = 0  # what they would hold without a position
        self.sell_quantity = 0
        self.sell_reserve = 0
        self.order_reserve = 0  # what they do hold
        self.reduce_only_orders: dict[int, Order] = {}
        self.opened_by: dict[int, Order] = {}  # filled orders of the open position, newest last
        self.brackets: list[Bracket] = []
        self.alarm = 0  # the number of the alarm that holds (see alarms), no part of the state
        self.alarm_price: int | None = None

    @property
    def has_orders(self) -> bool:
        """Whether any order of the symbol is open."""
        return bool(self.buy_quantity or self.sell_quantity or self.reduce_only_orders)

    @property
    def initial_margin(self) -> int:
        """Money for the position at its leverage."""
        return -(-abs(self.cost) // self.leverage)

    @property
    def isolated_margin(self) -> int:
        """The isolated position margin: initial plus what was added, removed, paid and received."""
        return -(-abs(self.cost) // self.leverage) + self.added_margin

    @property
    def held_margin(self) -> int:
        """What the position takes out of the available balance."""
        if not self.quantity:
            return 0
        return -(-abs(self.cost) // self.leverage) + (self.added_margin if self.isolated else 0)

    @property
    def unrealized_pnl(self) -> int:
        """At the mark price; zero while there is no price at all."""
        quantity = self.quantity
        if not quantity:
            return 0
        price = self.market.valuation_price
        return 0 if price is None else quantity * price * self.market.multiplier - self.cost

    def maintenance_margin(self, on_entry: bool) -> int:
        """Of the open position, on the entry notional or on the mark notional."""
        market = self.market
        price = market.valuation_price
        notional = abs(self.cost if on_entry or price is None else self.quantity * price * market.multiplier)
        instrument = market.instrument
        tier = instrument.tiers[0] if len(instrument.tiers) == 1 else instrument.tier(notional)
        return -(-notional * tier.rate // RATE_UNIT) - tier.deduction

    def reserve_with(self, quantity: int = 0, reserve: int = 0, side: int = 1) -> int:
        """What all open orders would hold with one more of ``quantity`` that on its own holds ``reserve``.

        Orders that could only reduce the position hold nothing; where a side's orders exceed the position, they share
        that exemption in proportion. Rounded up.
        """
        position = self.quantity
        if not position:
            return self.buy_reserve + self.sell_reserve + reserve
        buy_quantity, buy_reserve = self.buy_quantity, self.buy_reserve
        sell_quantity, sell_reserve = self.sell_quantity, self.sell_reserve
        if side > 0:
            buy_quantity += quantity
            buy_reserve += reserve
        else:
            sell_quantity += quantity
            sell_reserve += reserve
        if position < 0:
            excess = buy_quantity + position
            buy_reserve = -(-buy_reserve * excess // buy_quantity) if excess > 0 else 0
        else:
            excess = sell_quantity - position
            sell_reserve = -(-sell_reserve * excess // sell_quantity) if excess > 0 else 0
        return buy_reserve + sell_reserve


class Account:
    """One client of the exchange."""

    __slots__ = (
        "fee_level", "house", "maker_fee_rate", "multiple_positions", "name", "order_reserve", "orders", "positions",
        "reserved", "taker_fee_rate", "volume_today", "volumes", "wallets",
    )  # fmt: skip

    def __init__(self, name: str, house: bool) -> None:
        self.name = name
        self.house = house
        self.multiple_positions = False
        self.fee_level = 0
        self.maker_fee_rate = 0  # those of the fee level
        self.taker_fee_rate = 0
        self.volume_today = 0  # money traded since midnight UTC
        self.volumes: list[int] = []  # of the last 30 closed days, newest last
        self.wallets: dict[str, int] = {}  # asset: money
        self.reserved: dict[str, int] = {}  # asset: money held by open spot orders
        self.order_reserve = 0  # USDT held by open perpetual orders
        self.positions: dict[str, Position] = {}
        self.orders: dict[int, Order] = {}  # open orders by id

    def refresh_reserve(self, position: Position) -> None:
        """Bring what a symbol's open orders hold up to date, after the orders or the position changed."""
        reserve = position.reserve_with() if position.quantity else position.buy_reserve + position.sell_reserve
        self.order_reserve += reserve - position.order_reserve
        position.order_reserve = reserve

    def position_margin(self) -> int:
        """Money held for all positions."""
        total = 0
        for position in self.positions.values():
            if position.quantity:
                total += position.held_margin
        return total

    def unrealized_pnl(self) -> int:
        """Of all positions."""
        return sum([position.unrealized_pnl for position in self.positions.values()])

    def cross_unrealized_pnl(self) -> int:
        """Of the cross positions."""
        total = 0
        for position in self.positions.values():
            if position.quantity and not position.isolated:
                total += position.unrealized_pnl
        return total

    def free(self, collateral: str, full_unrealized: bool) -> int:
        """Wallet - reserved + cross PnL: what a new order may take; negative when already short.

        ``full_unrealized`` counts cross profits as well as losses (setting ``available_unrealized``); isolated PnL
        never counts.
        """
        held = unrealized = 0
        for position in self.positions.values():
            quantity = position.quantity
            if not quantity:
                continue
            cost = position.cost
            held -= -abs(cost) // position.leverage
            if position.isolated:
                held += position.added_margin
            else:
                market = position.market
                price = market.valuation_price
                if price is not None:
                    unrealized += quantity * price * market.multiplier - cost
        if unrealized > 0 and not full_unrealized:
            unrealized = 0
        wallet = self.wallets.get(collateral, 0) - self.reserved.get(collateral, 0)
        return wallet - self.order_reserve - held + unrealized

    def cross_wallet(self, collateral: str) -> int:
        """The wallet without what isolated positions hold and spot orders have set aside."""
        total = self.wallets.get(collateral, 0) - self.reserved.get(collateral, 0)
        for position in self.positions.values():
            if position.isolated and position.quantity:
                total -= position.isolated_margin
        return total

    def cross_maintenance(self) -> int:
        """Maintenance margin of all cross positions, on the mark."""
        total = 0
        for position in self.positions.values():
            if position.quantity and not position.isolated:
                total += position.maintenance_margin(False)
        return total

    def cross_carried(self, collateral: str) -> tuple[int, int]:
        """(equity, maintenance margin) of the cross positions, in one pass: every fill asks for it."""
        equity = self.wallets.get(collateral, 0) - self.reserved.get(collateral, 0)
        maintenance = 0
        for position in self.positions.values():
            if position.quantity:
                if position.isolated:
                    equity -= position.isolated_margin
                else:
                    equity += position.unrealized_pnl
                    maintenance += position.maintenance_margin(False)
        return equity, maintenance

    def spot_free(self, asset: str) -> int:
        """Wallet without what open spot orders hold, for an asset that is no collateral."""
        return self.wallets.get(asset, 0) - self.reserved.get(asset, 0)
