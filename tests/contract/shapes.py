"""The rows of the contract, field by field: what each is on the wire, and whether it may be null."""

import re
from collections.abc import Callable
from typing import Any

Check = Callable[[Any], bool]
Shape = dict[str, Check]

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def symbol(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[A-Z0-9]+(\.[A-Z0-9]+)?", value) is not None


def asset(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[A-Z0-9]+", value) is not None


def decimal(value: Any) -> bool:
    """A text, never a number, never an exponent; zero has no sign."""
    if not isinstance(value, str) or re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", value) is None:
        return False
    return not value.startswith("-") or any(digit in value for digit in "123456789")


def timestamp(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9]{19}", value) is not None


def integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def uuid(value: Any) -> bool:
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def one_of(*values: object) -> Check:
    return lambda value: value in values


def exactly(wanted: object) -> Check:
    return lambda value: type(value) is type(wanted) and value == wanted


def nullable(check: Check) -> Check:
    return lambda value: value is None or check(value)


def levels(value: Any) -> bool:
    return isinstance(value, list) and all(len(level) == 2 and all(map(decimal, level)) for level in value)


MAYBE = nullable(decimal)
SIDE = one_of("BUY", "SELL")
ORDER_TYPE = one_of("MARKET", "LIMIT", "STOP_MARKET")
STATUS = one_of("PENDING_NEW", "NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED", "REJECTED")
TIME_IN_FORCE = one_of("FOK", "IOC", "GTC")
CONDITIONAL = one_of("INVALID", "POSITION_TP", "POSITION_SL", "ORDER_TP", "ORDER_SL")

CONTRACT: Shape = {
    "symbol": symbol,
    "quoteCurrency": asset,
    "initMarginRate": MAYBE,
    "maintMarginRate": MAYBE,
    "maxLeverage": MAYBE,
    "baseInterestRate": MAYBE,
    "fundingRateCap": MAYBE,
    "fundingIntervalHours": nullable(integer),
    "tickSize": MAYBE,
    "unitOrderQty": MAYBE,
    "notionalMinOrderAmount": MAYBE,
    "notionalMaxOrderAmount": MAYBE,
    "notionalMaxPositionAmount": MAYBE,
    "maxOpenInterest": MAYBE,
}
TICKER: Shape = {
    "symbol": symbol,
    "volume24h": MAYBE,
    "turnover24h": MAYBE,
    "priceChange24h": MAYBE,
    "openInterest": MAYBE,
    "bidPrice": MAYBE,
    "askPrice": MAYBE,
    "lastPrice": MAYBE,
    "markPrice": MAYBE,
    "indexPrice": MAYBE,
    "fundingRate": MAYBE,
    "nextFundingTime": nullable(timestamp),
    "fundingIntervalHours": nullable(integer),
    "fundingRateCap": MAYBE,
}
FUNDING_INFO: Shape = {
    "symbol": symbol,
    "lastFundingRate": MAYBE,
    "fundingRate": MAYBE,
    "nextFundingTime": nullable(timestamp),
    "fundingIntervalHours": nullable(integer),
    "fundingRateCap": MAYBE,
}
ORDERBOOK: Shape = {"symbol": symbol, "bids": levels, "asks": levels}
ORDERBOOK_DELTA: Shape = {**ORDERBOOK, "seq": integer, "prevSeq": integer}
FEE_RATE: Shape = {
    "level": integer,
    "requiredTradeVolume": decimal,
    "requiredAssetBalance": decimal,
    "feeRate": decimal,
}
ACCOUNT: Shape = {
    "totalWalletBalance": decimal,
    "totalUnrealizedPnl": decimal,
    "totalMarginBalance": decimal,
    "totalMarginReserved": decimal,
    "availableBalance": decimal,
}
MARGIN: Shape = {
    "currency": asset,
    "isolatedMarginAvailable": decimal,
    "unrealizedPnl": decimal,
    "reservedForIsolatedMargin": decimal,
    "reservedForIsolatedMarginPosition": decimal,
    "crossMarginAvailable": decimal,
    "marginBalance": decimal,
    "crossMarginRatio": MAYBE,
    "initMarginReserved": decimal,
    "initPositionMargin": decimal,
}
BALANCE: Shape = {"asset": asset, "balance": decimal, "availableBalance": decimal, "maxWithdrawableAmount": decimal}
POSITION: Shape = {
    "symbol": symbol,
    "slot": exactly(0),
    "leverage": integer,
    "marginType": one_of("CROSS", "ISOLATED"),
    "buyableBoosts": exactly([]),
    "boostRemainingCount": exactly(0),
    "positionSide": one_of("LONG", "SHORT", None),
    "positionAmount": MAYBE,
    "positionQty": MAYBE,
    "markPrice": MAYBE,
    "unrealizedPnl": MAYBE,
    "initialMargin": MAYBE,
    "maintMargin": MAYBE,
    "entryPrice": MAYBE,
    "breakEvenPrice": MAYBE,
    "liquidationPrice": MAYBE,
    "totalFee": MAYBE,
    "boostExpiryTimestamp": nullable(timestamp),
    "boostRealizedPnl": MAYBE,
}
ORDER: Shape = {
    "orderId": uuid,
    "symbol": symbol,
    "side": SIDE,
    "orderType": ORDER_TYPE,
    "quantity": MAYBE,
    "amount": MAYBE,
    "price": MAYBE,
    "triggerPrice": MAYBE,
    "status": STATUS,
    "timeInForce": TIME_IN_FORCE,
    "takeProfitPrice": MAYBE,
    "stopLossPrice": MAYBE,
    "leavesQty": MAYBE,
}
ORDER_HISTORY: Shape = {
    **ORDER,
    "orderCancelReason": nullable(text),
    "orderRejectReason": nullable(text),
    "orderTime": timestamp,
    "transactTime": timestamp,
    "cumQty": decimal,
    "avgPrice": MAYBE,
    "cumFee": decimal,
    "initLeverage": nullable(integer),
    "conditionalOrderType": CONDITIONAL,
}
EXECUTION: Shape = {
    "execId": uuid,
    "orderId": nullable(uuid),
    "symbol": symbol,
    "side": SIDE,
    "orderType": nullable(ORDER_TYPE),
    "price": MAYBE,
    "quantity": MAYBE,
    "timeInForce": nullable(TIME_IN_FORCE),
    "status": nullable(STATUS),
    "execType": one_of("NEW", "TRADE", "CANCELED", "REPLACED", "REJECTED", "TRIGGERED", "FUNDING"),
    "settlementCurrency": asset,
    "orderTime": nullable(timestamp),
    "transactTime": timestamp,
    "lastPrice": MAYBE,
    "lastQty": MAYBE,
    "execFee": MAYBE,
    "cumQty": MAYBE,
    "avgPrice": MAYBE,
    "conditionalOrderType": CONDITIONAL,
}


def check(row: Any, shape: Shape) -> None:
    """A row has the fields of its shape, each of them as it should be, and no other."""
    assert isinstance(row, dict), row
    assert set(row) == set(shape)
    wrong = {name: row[name] for name, right in shape.items() if not right(row[name])}
    assert wrong == {}, wrong


def check_partial(row: Any, shape: Shape) -> None:
    """A row has some of the fields of its shape, `symbol` among them."""
    assert "symbol" in row
    check(row, {name: right for name, right in shape.items() if name in row})


def check_kline(row: Any) -> None:
    """`[startTime, open, high, low, close, volume, turnover]`."""
    assert isinstance(row, list)
    assert len(row) == 7
    assert timestamp(row[0])
    assert all(map(decimal, row[1:]))
