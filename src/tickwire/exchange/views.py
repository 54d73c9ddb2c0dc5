"""Rows of the contract from the engine's state: the one source of REST replies and stream frames."""

from tickwire.exchange import margin
from tickwire.exchange.accounts import Account, Position
from tickwire.exchange.candles import Candle
from tickwire.exchange.instruments import RATE_PLACES, RATE_UNIT, Instrument
from tickwire.exchange.markets import Market
from tickwire.exchange.order_rows import AVERAGE_PARTS, average_price_text, fine_price_text, money_text, order_row
from tickwire.exchange.state import State
from tickwire.wire import rows
from tickwire.wire.decimals import format_decimal
from tickwire.wire.errors import ApiError
from tickwire.wire.intervals import INTERVALS

__all__ = [
    "account",
    "balance",
    "balances",
    "candle_row",
    "contracts",
    "fee_rates",
    "funding_infos",
    "klines",
    "level_row",
    "margin_row",
    "margins",
    "open_orders",
    "order",
    "orderbook",
    "position",
    "positions",
    "symbols",
    "ticker",
    "ticker_facts",
    "ticker_row",
    "tickers",
]

order = order_row


def _rate(value: int) -> str:
    return format_decimal(value, RATE_PLACES)


def _markets(state: State, symbol: str | None) -> list[Market]:
    return list(state.markets.values()) if symbol is None else [state.market(symbol)]


def contracts(state: State, symbol: str | None = None) -> list[rows.Contract]:
    """Contract 4.1. Raises ``ApiError`` InvalidSymbol."""
    return [_contract(market.instrument) for market in _markets(state, symbol)]


def _contract(instrument: Instrument) -> rows.Contract:
    perpetual = instrument.perpetual

    def money(value: int | None) -> str | None:
        return None if value is None else money_text(value)

    return rows.Contract(
        instrument.symbol,
        instrument.quote,
        _rate(instrument.init_margin_rate) if perpetual else None,
        _rate(instrument.maint_margin_rate) if perpetual else None,
        str(instrument.max_leverage) if perpetual else None,
        _rate(instrument.base_interest_rate) if perpetual else None,
        _rate(instrument.funding_rate_cap) if perpetual else None,
        instrument.funding_interval_hours if perpetual else None,
        format_decimal(instrument.price_value, instrument.price_places),
        instrument.quantity_text(1),
        money(instrument.min_notional),
        money(instrument.max_notional),
        money(instrument.max_position) if perpetual else None,
        instrument.quantity_text(instrument.max_open_interest)
        if perpetual and instrument.max_open_interest is not None
        else None,
    )


def tickers(state: State) -> list[rows.Ticker]:
    """Contract 4.2, all symbols."""
    return [_ticker(market) for market in state.markets.values()]


def ticker(state: State, symbol: str) -> rows.Ticker:
    """Contract 4.2. Raises ``ApiError`` InvalidSymbol."""
    return _ticker(state.market(symbol))


def _ticker(market: Market) -> rows.Ticker:
    return ticker_row(market.instrument, ticker_facts(market))


TickerFacts = tuple[
    tuple[int, int, int] | None, int, int | None, int | None, int | None, int | None, int | None, int, int
]


def ticker_facts(market: Market) -> TickerFacts:
    """All that a ticker shows and that can change, before it is made text: equal facts make equal rows."""
    book, prices = market.book, market.prices
    return (
        market.candles.statistics(),
        market.open_interest,
        book.bids.best,
        book.asks.best,
        market.last_price,
        prices.mark,
        prices.index,
        prices.funding_rate,
        prices.next_funding,
    )


def ticker_row(instrument: Instrument, facts: TickerFacts) -> rows.Ticker:
    """Contract 4.2 from ``ticker_facts``."""
    day, open_interest, bid, ask, last, mark, index, funding_rate, next_funding = facts
    price_text = instrument.price_text
    perpetual = instrument.perpetual
    return rows.Ticker(
        instrument.symbol,
        None if day is None else instrument.quantity_text(day[0]),
        None if day is None else money_text(day[1]),
        None if day is None else price_text(day[2]),
        instrument.quantity_text(open_interest) if perpetual else None,
        None if bid is None else price_text(bid),
        None if ask is None else price_text(ask),
        None if last is None else price_text(last),
        None if mark is None else price_text(mark),
        None if index is None else price_text(index),
        _rate(funding_rate) if perpetual else None,
        str(next_funding) if perpetual and next_funding else None,
        instrument.funding_interval_hours if perpetual else None,
        _rate(instrument.funding_rate_cap) if perpetual else None,
    )


def funding_infos(state: State, symbol: str | None = None) -> list[rows.FundingInfo]:
    """Contract 4.3: perpetuals only. Raises ``ApiError`` InvalidSymbol."""
    return [
        rows.FundingInfo(
            market.symbol,
            _rate(market.prices.last_funding_rate),
            _rate(market.prices.funding_rate),
            str(market.prices.next_funding) if market.prices.next_funding else None,
            market.instrument.funding_interval_hours,
            _rate(market.instrument.funding_rate_cap),
        )
        for market in _markets(state, symbol)
        if market.instrument.perpetual
    ]


def candle_row(instrument: Instrument, candle: Candle) -> rows.Kline:
    """Contract 4.4: one candle."""
    price_text = instrument.price_text
    return (
        str(candle.start),
        price_text(candle.open),
        price_text(candle.high),
        price_text(candle.low),
        price_text(candle.close),
        instrument.quantity_text(candle.volume),
        money_text(candle.turnover),
    )


def klines(
    state: State, symbol: str, interval: str, start: int | None, end: int | None, limit: int
) -> list[rows.Kline]:
    """Contract 4.4: candles that start in [start, end] (ns), oldest first, the open one included.

    With ``start`` the first ``limit`` of them, without it the newest. Raises ``ApiError``.
    """
    market = state.market(symbol)
    if interval not in INTERVALS:
        raise ApiError("InvalidParameter", f"interval: expected one of {' '.join(INTERVALS)}, got {interval[:20]!r}")
    if start is not None and end is not None and end < start:
        raise ApiError("InvalidParameter", f"endTime: expected at least startTime {start}, got {end}")
    return [candle_row(market.instrument, candle) for candle in market.candles.between(interval, start, end, limit)]


def orderbook(state: State, symbol: str, limit: int) -> rows.Orderbook:
    """Contract 4.5: ``limit`` levels a side, best first. Raises ``ApiError`` InvalidSymbol."""
    market = state.market(symbol)
    instrument, book = market.instrument, market.book
    return rows.Orderbook(
        symbol,
        [level_row(instrument, level) for level in book.bids.top(limit)],
        [level_row(instrument, level) for level in book.asks.top(limit)],
    )


def level_row(instrument: Instrument, level: tuple[int, int]) -> rows.Level:
    """One (price, quantity) of a book."""
    price, quantity = level
    return instrument.price_text(price), instrument.quantity_text(quantity)


def fee_rates(state: State) -> list[rows.FeeRate]:
    """Contract 4.6."""
    return [
        rows.FeeRate(
            number, money_text(level.required_volume), money_text(level.required_balance), _rate(level.taker_rate)
        )
        for number, level in enumerate(state.fee_levels)
    ]


def account(state: State, name: str) -> rows.AccountInfo:
    """Contract 5.1, in the collateral."""
    owner = state.account(name)
    wallet = owner.wallets.get(state.collateral, 0)
    unrealized = owner.unrealized_pnl()
    reserved = owner.position_margin() + owner.order_reserve + owner.reserved.get(state.collateral, 0)
    return rows.AccountInfo(
        money_text(wallet),
        money_text(unrealized),
        money_text(wallet + unrealized),
        money_text(reserved),
        money_text(max(0, state.free(owner))),
    )


def margins(state: State, name: str, currency: str | None = None) -> list[rows.Margin]:
    """Contract 5.2: one row, as there is one collateral. Raises ``ApiError`` for another currency."""
    if currency is not None and currency != state.collateral:
        raise ApiError("InvalidParameter", f"currency: expected {state.collateral}, got {currency[:20]!r}")
    return [margin_row(state, state.account(name))]


def margin_row(state: State, owner: Account) -> rows.Margin:
    """Contract 5.2, the element."""
    free = money_text(max(0, state.free(owner)))
    isolated_orders = isolated_positions = cross_orders = cross_positions = 0
    for held in owner.positions.values():
        if held.isolated:
            isolated_orders += held.order_reserve
            isolated_positions += held.held_margin
        else:
            cross_orders += held.order_reserve
            cross_positions += held.held_margin
    unrealized = owner.unrealized_pnl()
    ratio: str | None = None
    if cross_positions:
        equity = owner.cross_wallet(state.collateral) + owner.cross_unrealized_pnl()
        maintenance = owner.cross_maintenance()
        # At one and above the account is liquidated; without equity there is no ratio but that.
        ratio = _rate(-(-maintenance * RATE_UNIT // equity)) if equity > 0 else "1"
    return rows.Margin(
        state.collateral,
        free,
        money_text(unrealized),
        money_text(isolated_orders),
        money_text(isolated_positions),
        free,
        money_text(owner.wallets.get(state.collateral, 0) + unrealized),
        ratio,
        money_text(cross_orders),
        money_text(cross_positions),
    )


def balances(state: State, name: str, asset: str | None = None) -> list[rows.Balance]:
    """Contract 5.3: every asset the account has ever held, or one. Raises ``ApiError`` for an unknown asset."""
    owner = state.account(name)
    if asset is None:
        return [balance(state, owner, held) for held in owner.wallets]
    known = {instrument.quote for instrument in _instruments(state)} | {i.base for i in _instruments(state)}
    if asset not in known:
        raise ApiError("InvalidParameter", f"asset: no asset {asset[:20]!r}")
    return [balance(state, owner, asset)]


def _instruments(state: State) -> list[Instrument]:
    return [market.instrument for market in state.markets.values()]


def balance(state: State, owner: Account, asset: str) -> rows.Balance:
    """Contract 5.3, one asset. Withdrawable is what is free without counting floating profit."""
    wallet = owner.wallets.get(asset, 0)
    free = state.free(owner) if asset == state.collateral else owner.spot_free(asset)
    withdrawable = state.withdrawable(owner, asset)
    return rows.Balance(asset, money_text(wallet), money_text(max(0, free)), money_text(max(0, withdrawable)))


def positions(state: State, name: str, symbol: str | None = None) -> list[rows.Position]:
    """Contract 5.4: every symbol with a position or an explicit leverage. Raises ``ApiError`` InvalidSymbol."""
    owner = state.account(name)
    if symbol is not None:
        state.perpetual(symbol)
    return [
        position_row(state, owner, held)
        for held in owner.positions.values()
        if (held.quantity or held.explicit) and (symbol is None or held.market.symbol == symbol)
    ]


def position(state: State, name: str, symbol: str) -> rows.Position:
    """Contract 5.4, one symbol, also when it is closed. Raises ``ApiError``."""
    owner, market = state.account(name), state.perpetual(symbol)
    # A look must leave no trace in the state, or a replay of the commands would not give the same.
    held = owner.positions.get(symbol) or Position(market, state.default_leverage(market))
    return position_row(state, owner, held)


def position_row(state: State, owner: Account, held: Position) -> rows.Position:
    """Contract 5.4 from the position itself."""
    market = held.market
    instrument = market.instrument
    quantity = held.quantity
    if not quantity:
        # Without a mark price: it moves, and nobody is told of what moves while there is no position.
        return rows.Position(
            market.symbol, 0, held.leverage, "ISOLATED" if held.isolated else "CROSS", [], 0, None, "0", "0", None,
            None, None, None, None, None, None, None, None, None,
        )  # fmt: skip
    price = market.valuation_price
    mark_text = None if price is None else instrument.price_text(price)
    size = abs(quantity)
    quantity_text = instrument.quantity_text(size)
    if state.settings.position_amount == "base":
        amount = quantity_text
    else:
        amount = money_text(abs(held.cost) if price is None else size * price * market.multiplier)
    maintenance = held.maintenance_margin(state.margin_on_entry and held.isolated)
    liquidation = liquidation_price(state, owner, held)
    break_even = margin.break_even_price(
        quantity,
        held.cost,
        owner.taker_fee_rate,
        held.fees_paid + held.funding_paid,
        market.multiplier,
        AVERAGE_PARTS,
    )
    return rows.Position(
        market.symbol,
        0,
        held.leverage,
        "ISOLATED" if held.isolated else "CROSS",
        [],
        0,
        "LONG" if quantity > 0 else "SHORT",
        amount,
        quantity_text,
        mark_text,
        money_text(held.unrealized_pnl),
        money_text(held.initial_margin),
        money_text(maintenance),
        average_price_text(instrument, abs(held.cost), size),
        None if break_even is None else fine_price_text(instrument, break_even),
        None if liquidation is None else instrument.price_text(liquidation),
        money_text(held.fees_paid),
        None,
        None,
    )


def liquidation_price(state: State, owner: Account, held: Position) -> int | None:
    """The mark price (ticks) at which the position is liquidated, the others held; ``None`` when none does."""
    market = held.market
    if held.isolated and state.margin_on_entry:
        return margin.isolated_liquidation_price(
            held.quantity, held.cost, held.isolated_margin, held.maintenance_margin(True), market.multiplier
        )
    wallet = held.isolated_margin
    maintenance = unrealized = 0
    if not held.isolated:
        wallet = owner.cross_wallet(state.collateral)
        for other in owner.positions.values():
            if other is not held and other.quantity and not other.isolated:
                maintenance += other.maintenance_margin(False)
                unrealized += other.unrealized_pnl
    # The maintenance margin moves with the price, so the tier is that of the price looked for: of the candidates, one a
    # tier, it is the one that lies in its own tier. The price falls as the tier rises, so the first that fits is it.
    price: int | None = None
    for tier in market.instrument.tiers:
        price = margin.cross_liquidation_price(
            held.quantity, held.cost, wallet, maintenance, unrealized, tier.rate, market.multiplier, tier.deduction
        )
        if price is None or market.instrument.tier(abs(held.quantity) * price * market.multiplier) is tier:
            break
    return price


def open_orders(state: State, name: str, symbol: str | None = None) -> list[rows.Order]:
    """Contract 6.4: open orders, oldest first. Raises ``ApiError`` InvalidSymbol."""
    if symbol is not None:
        state.market(symbol)
    return [
        order_row(entry)
        for _, entry in sorted(state.account(name).orders.items())
        if symbol is None or entry.symbol == symbol
    ]


def symbols(state: State) -> rows.Symbols:
    """Contract 6.7."""
    instruments = _instruments(state)
    return rows.Symbols(
        [instrument.symbol for instrument in instruments if not instrument.perpetual],
        [instrument.symbol for instrument in instruments if instrument.perpetual],
    )
