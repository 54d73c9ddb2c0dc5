"""The margin formulas, as pure functions of integers.

Money is counted in 10**-8, ``quantity`` is a signed number of steps (long positive), ``cost`` the signed sum of the
notionals that opened it, so ``cost / quantity`` is the average entry price without ever rounding it. Rates are
counted in 10**-8 (``RATE_UNIT``). Every rounding is against the trader and said beside it.
"""

from tickwire.exchange.instruments import RATE_UNIT

__all__ = [
    "bankruptcy_price",
    "bankruptcy_value",
    "break_even_price",
    "ceil_div",
    "cross_liquidation_price",
    "fee",
    "initial_margin",
    "isolated_liquidation_price",
    "maintenance_margin",
    "order_reserve",
    "unrealized_pnl",
]


def ceil_div(numerator: int, denominator: int) -> int:
    """Division rounded up."""
    return -(-numerator // denominator)


def fee(notional: int, rate: int) -> int:
    """A trading fee, rounded up."""
    return -(-notional * rate // RATE_UNIT)


def unrealized_pnl(quantity: int, cost: int, mark_price: int, multiplier: int) -> int:
    """s q (M - E): exact. Published convention."""
    return quantity * mark_price * multiplier - cost


def initial_margin(cost: int, leverage: int) -> int:
    """q E / L on the entry notional, rounded up. Published example."""
    return -(-abs(cost) // leverage)


def maintenance_margin(notional: int, rate: int, deduction: int = 0) -> int:
    """q E m (isolated) or q M m (cross), less the tier's deduction, rounded up; the caller chooses the notional."""
    return -(-abs(notional) * rate // RATE_UNIT) - deduction


def order_reserve(notional: int, side: int, leverage: int, fee_rate: int) -> int:
    """What an open order holds: q p / L + fee at open + fee at close at the bankruptcy price p (1 - s / L).

    All three over one denominator, rounded up once.
    """
    numerator = notional * (RATE_UNIT + fee_rate * leverage + fee_rate * (leverage - side))
    return -(-numerator // (RATE_UNIT * leverage))


def _to_tick(numerator: int, denominator: int, long: bool) -> int:
    """A price in ticks from a fraction: rounded up for a long, down for a short (nearer, so against the trader)."""
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    return -(-numerator // denominator) if long else numerator // denominator


def isolated_liquidation_price(
    quantity: int, cost: int, position_margin: int, maintenance: int, multiplier: int
) -> int | None:
    """LP = E - s (position margin - MM) / q in ticks; ``None`` when no positive price liquidates."""
    return _positive(_to_tick(cost - (position_margin - maintenance), quantity * multiplier, quantity > 0))


def bankruptcy_value(cost: int, position_margin: int) -> int:
    """s q E - position margin: what closing must bring (signed as ``cost``) to leave exactly nothing of the margin.

    A take-over is made at it: over the quantity it is the bankruptcy price before any rounding to a tick.
    """
    return cost - position_margin


def bankruptcy_price(quantity: int, cost: int, position_margin: int, multiplier: int) -> int | None:
    """E - s (position margin) / q in ticks, to be shown."""
    return _positive(_to_tick(bankruptcy_value(cost, position_margin), quantity * multiplier, quantity > 0))


def cross_liquidation_price(
    quantity: int,
    cost: int,
    cross_wallet: int,
    other_maintenance: int,
    other_unrealized: int,
    maintenance_rate: int,
    multiplier: int,
    deduction: int = 0,
) -> int | None:
    """LP = (W - TMM' + UPNL' + deduction - s q E) / (q (m - s)) in ticks, the other cross positions held (mark base).

    Written over ``RATE_UNIT``: the denominator is |q| m - q, whose sign the numerator shares in every live case.
    """
    numerator = (cross_wallet - other_maintenance + other_unrealized + deduction - cost) * RATE_UNIT
    denominator = (abs(quantity) * maintenance_rate - quantity * RATE_UNIT) * multiplier
    return _positive(_to_tick(numerator, denominator, quantity > 0))


def break_even_price(quantity: int, cost: int, fee_rate: int, paid: int, multiplier: int, parts: int = 1) -> int | None:
    """The price at which closing all gives zero: s B q (1 - s f) = s E q + ``paid`` (fees and funding so far).

    In ``parts`` of a tick, rounded up for a long and down for a short.
    """
    sign = 1 if quantity > 0 else -1
    numerator = (cost + paid) * RATE_UNIT * parts
    return _positive(_to_tick(numerator, quantity * multiplier * (RATE_UNIT - sign * fee_rate), quantity > 0))


def _positive(price: int) -> int | None:
    return price if price > 0 else None
