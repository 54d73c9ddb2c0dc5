"""The REST API of a replay: the paths of the exchange's, answered from the recording as of the replay's time.

Market data comes from what the recorder had asked for and from the topics; account data from the account's topics.
Everything else is refused with ``ReplayOnly``, and what was not recorded with ``NotRecorded``.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from tickwire.record.replay_state import ReplayState
from tickwire.rest.application import endpoints
from tickwire.rest.endpoint import Endpoint, encode
from tickwire.rest.parameters import parse_period
from tickwire.wire import rows
from tickwire.wire.errors import ApiError
from tickwire.wire.intervals import INTERVALS
from tickwire.wire.requests import (
    BalanceQuery,
    KlineQuery,
    MarginQuery,
    NoQuery,
    OrderbookQuery,
    SymbolQuery,
)

__all__ = ["replay_endpoints"]

_TICKER_FIELDS = tuple(field.encode_name for field in msgspec.structs.fields(rows.Ticker))


def replay_endpoints(state: Callable[[], ReplayState]) -> tuple[Endpoint, ...]:
    """The table of the exchange with what a replay can answer; ``state`` gives that of this moment."""
    views: dict[str, Callable[[ReplayState, Any], object]] = {
        "/api/v1/market/contract": _contracts,
        "/api/v1/market/ticker": _tickers,
        "/api/v1/market/funding-info": _funding_infos,
        "/api/v1/market/kline": _klines,
        "/api/v1/market/orderbook": _orderbook,
        "/api/v1/market/fee-rate": _fee_rates,
        "/api/v1/trade/symbol": _symbols,
        "/api/v1/account": _account,
        "/api/v1/account/margin": _margins,
        "/api/v1/account/balance": _balances,
        "/api/v1/account/position": _positions,
        "/api/v1/trade/order": _orders,
    }

    def handler(view: Callable[[ReplayState, Any], object]) -> Callable[[Any, str, Any], Awaitable[bytes]]:
        async def handle(_gateway: object, _account: str, query: Any) -> bytes:
            return encode(view(state(), query))

        return handle

    return tuple(
        msgspec.structs.replace(endpoint, handle=handler(views[endpoint.path]))
        if endpoint.method == "GET" and endpoint.path in views
        else endpoint
        for endpoint in endpoints()
    )


def _missing(what: str, how: str) -> ApiError:
    return ApiError("NotRecorded", f"expected a recording with {what}, this one has none: {how}")


def _check_symbol(state: ReplayState, symbol: str) -> None:
    if symbol not in state.symbols():
        raise ApiError("InvalidSymbol", f"no symbol {symbol[:40]!r}")


def _reply(state: ReplayState, path: str) -> Any:
    found = state.reply(path)
    if found is None:
        raise _missing(f"GET {path}", "tickwire record asks for it unless it is told not to")
    return found


def _of_symbol(found: list[dict[str, Any]], symbol: str | None) -> list[dict[str, Any]]:
    return found if symbol is None else [row for row in found if row.get("symbol") == symbol]


def _contracts(state: ReplayState, query: SymbolQuery) -> object:
    found = _of_symbol(_reply(state, "/api/v1/market/contract"), query.symbol)
    if query.symbol is None:
        return found
    if not found:
        raise ApiError("InvalidSymbol", f"no symbol {query.symbol[:40]!r}")
    return found[0]


def _tickers(state: ReplayState, query: SymbolQuery) -> object:
    if query.symbol is not None:
        _check_symbol(state, query.symbol)
        ticker = state.ticker(query.symbol)
        if ticker is None:
            raise _missing(f"ticker.{query.symbol}", "record that topic")
        return _whole_ticker(ticker)
    tickers = (state.ticker(symbol) for symbol in state.symbols())
    return [_whole_ticker(ticker) for ticker in tickers if ticker is not None]


def _whole_ticker(ticker: dict[str, Any]) -> dict[str, Any]:
    """With every field of the contract, and what there is beyond it behind them."""
    return dict.fromkeys(_TICKER_FIELDS) | ticker


def _funding_infos(state: ReplayState, query: SymbolQuery) -> object:
    if query.symbol is not None:
        _check_symbol(state, query.symbol)
    found = _of_symbol(_reply(state, "/api/v1/market/funding-info"), query.symbol)
    # The ticker's estimate and time are newer than those of the last look over REST.
    for place, row in enumerate(found):
        ticker = state.ticker(row.get("symbol", "")) or {}
        newer = {name: ticker[name] for name in ("fundingRate", "nextFundingTime") if ticker.get(name) is not None}
        found[place] = row | newer
    return found


def _klines(state: ReplayState, query: KlineQuery) -> object:
    start, end = parse_period(query.start_time, query.end_time)
    if query.interval not in INTERVALS:
        raise ApiError(
            "InvalidParameter", f"interval: expected one of {' '.join(INTERVALS)}, got {query.interval[:20]!r}"
        )
    _check_symbol(state, query.symbol)
    found = state.candles(query.symbol, query.interval)
    if found is None:
        raise _missing(f"kline.{query.interval}.{query.symbol}", "record that topic")
    within = [
        candle
        for candle in found
        if (start is None or int(candle[0]) >= start) and (end is None or int(candle[0]) <= end)
    ]
    return within[: query.limit] if start is not None else within[-query.limit :]


def _orderbook(state: ReplayState, query: OrderbookQuery) -> object:
    _check_symbol(state, query.symbol)
    # The deltas hold the whole book, the other topic the top of it.
    found = state.rows(f"orderbook.delta.{query.symbol}") or state.rows(f"orderbook.{query.symbol}")
    if not found:
        raise _missing(f"orderbook.{query.symbol}", "record that topic")
    book = found[0]
    return {
        "symbol": query.symbol,
        "bids": (book.get("bids") or [])[: query.limit],
        "asks": (book.get("asks") or [])[: query.limit],
    }


def _fee_rates(state: ReplayState, _query: NoQuery) -> object:
    return _reply(state, "/api/v1/market/fee-rate")


def _symbols(state: ReplayState, _query: NoQuery) -> object:
    return _reply(state, "/api/v1/trade/symbol")


def _topic(state: ReplayState, name: str) -> list[Any]:
    found = state.rows(name)
    if found is None:
        raise _missing(name, "record that topic")
    return found


def _account(state: ReplayState, _query: NoQuery) -> object:
    found = _topic(state, "account")
    if not found:
        raise _missing("account", "record that topic")
    return found[0]


def _margins(state: ReplayState, query: MarginQuery) -> object:
    found = _topic(state, "account.margin")
    return {"margins": [row for row in found if query.currency in (None, row.get("currency"))]}


def _balances(state: ReplayState, query: BalanceQuery) -> object:
    return [row for row in _topic(state, "account.balance") if query.asset in (None, row.get("asset"))]


def _positions(state: ReplayState, query: SymbolQuery) -> object:
    return _of_symbol(_topic(state, "account.position"), query.symbol)


def _orders(state: ReplayState, query: SymbolQuery) -> object:
    return _of_symbol(_topic(state, "account.order"), query.symbol)
