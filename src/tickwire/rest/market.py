"""The endpoints without an account: public (no key) and market (contract section 4)."""

from tickwire.exchange import views
from tickwire.exchange.engine import Engine
from tickwire.rest import examples
from tickwire.rest.endpoint import Endpoint, encode, reads
from tickwire.rest.gateway import Gateway
from tickwire.rest.parameters import parse_period
from tickwire.wire import rows
from tickwire.wire.requests import KlineQuery, NoQuery, OrderbookQuery, SymbolQuery

__all__ = ["MARKET_ENDPOINTS"]


async def _ping(_gateway: Gateway, _account: str, _query: NoQuery) -> bytes:
    return b"{}"


async def _time(gateway: Gateway, _account: str, _query: NoQuery) -> bytes:
    return encode(rows.ServerTime(str(gateway.now())))


def _contracts(engine: Engine, _account: str, query: SymbolQuery) -> object:
    found = views.contracts(engine, query.symbol)
    return found if query.symbol is None else found[0]


def _tickers(engine: Engine, _account: str, query: SymbolQuery) -> object:
    return views.tickers(engine) if query.symbol is None else views.ticker(engine, query.symbol)


def _funding_infos(engine: Engine, _account: str, query: SymbolQuery) -> object:
    return views.funding_infos(engine, query.symbol)


def _klines(engine: Engine, _account: str, query: KlineQuery) -> object:
    start, end = parse_period(query.start_time, query.end_time)
    return views.klines(engine, query.symbol, query.interval, start, end, query.limit)


def _orderbook(engine: Engine, _account: str, query: OrderbookQuery) -> object:
    return views.orderbook(engine, query.symbol, query.limit)


def _fee_rates(engine: Engine, _account: str, _query: NoQuery) -> object:
    return views.fee_rates(engine)


MARKET_ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/public/ping",
        tag="public",
        scope=None,
        summary="Whether the server answers",
        reply=rows.Empty,
        reply_example={},
        handle=_ping,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/public/time",
        tag="public",
        scope=None,
        summary="The server's clock",
        description="`api-expires` is compared with this clock.",
        reply=rows.ServerTime,
        reply_example=examples.SERVER_TIME,
        handle=_time,
    ),
    Endpoint(
        method="GET",
        path="/api/v1/market/contract",
        tag="market",
        scope="read",
        summary="What can be traded, and within which bounds",
        description="One object with `symbol`, an array of all without.",
        request=SymbolQuery,
        reply=rows.Contract | list[rows.Contract],
        reply_example=examples.CONTRACT,
        errors=("InvalidSymbol",),
        handle=reads(_contracts),
    ),
    Endpoint(
        method="GET",
        path="/api/v1/market/ticker",
        tag="market",
        scope="read",
        summary="Best prices, last, mark and index price, and the last 24 hours",
        description="One object with `symbol`, an array of all without. The stream's topic is `ticker.{symbol}`.",
        request=SymbolQuery,
        reply=rows.Ticker | list[rows.Ticker],
        reply_example=examples.TICKER,
        errors=("InvalidSymbol",),
        handle=reads(_tickers),
    ),
    Endpoint(
        method="GET",
        path="/api/v1/market/funding-info",
        tag="market",
        scope="read",
        summary="Funding of the perpetuals",
        description="An array with and without `symbol`; empty for a spot pair.",
        request=SymbolQuery,
        reply=list[rows.FundingInfo],
        reply_example=[examples.FUNDING_INFO],
        errors=("InvalidSymbol",),
        handle=reads(_funding_infos),
    ),
    Endpoint(
        method="GET",
        path="/api/v1/market/kline",
        tag="market",
        scope="read",
        summary="Candles, oldest first",
        description=(
            "Arrays of `[startTime, open, high, low, close, volume, turnover]`. With `startTime` the first `limit` "
            "candles from there, without it the newest. An interval without a trade repeats the last close with zero "
            "volume. The stream's topic is `kline.{interval}.{symbol}`."
        ),
        request=KlineQuery,
        reply=list[rows.Kline],
        reply_example=[examples.KLINE],
        errors=("InvalidSymbol",),
        handle=reads(_klines),
    ),
    Endpoint(
        method="GET",
        path="/api/v1/market/orderbook",
        tag="market",
        scope="read",
        summary="The top of the book, best first",
        description="Levels are `[price, quantity]`. The stream's topic is `orderbook.{symbol}`.",
        request=OrderbookQuery,
        reply=rows.Orderbook,
        reply_example=examples.ORDERBOOK,
        errors=("InvalidSymbol",),
        handle=reads(_orderbook),
    ),
    Endpoint(
        method="GET",
        path="/api/v1/market/fee-rate",
        tag="market",
        scope="read",
        summary="Fee levels",
        reply=list[rows.FeeRate],
        reply_example=[examples.FEE_RATE],
        handle=reads(_fee_rates),
    ),
)
