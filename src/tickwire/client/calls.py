"""Every REST call of the contract, once: what it sends and which rows it brings. No I/O.

The functions here are the methods of `RestClient` and `SyncRestClient` (see `rest`), by the same names and with the
same arguments; there they return the rows, here the ``Call`` that gets them. Money is given as ``Decimal``, ``int`` or
``str``, never as a float; times as ns since the epoch or as a ``datetime`` with a time zone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from tickwire.client.numbers import Number, Time, decimal_text, time_text
from tickwire.client.replies import Candle
from tickwire.wire import requests, rows
from tickwire.wire.requests import COUNTERPARTY_1, NoQuery, Request
from tickwire.wire.signing import API_PREFIX

__all__ = [
    "Call",
    "account",
    "add_margin",
    "amend_order",
    "balances",
    "cancel_order",
    "contract",
    "contracts",
    "execution_history",
    "fee_rates",
    "funding_infos",
    "klines",
    "margins",
    "open_orders",
    "order_book",
    "order_history",
    "ping",
    "place_order",
    "positions",
    "read",
    "read_target",
    "reduce_margin",
    "server_time",
    "set_leverage",
    "set_trade_mode",
    "symbols",
    "ticker",
    "tickers",
]

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call: ``target`` is path and query as sent and signed, ``reply`` the type on the wire, ``unwrap`` takes out
    of it what the caller wants. ``signed`` is false where no key is needed.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    target: str
    reply: Any
    unwrap: Callable[[Any], T]
    body: bytes = b""
    signed: bool = True

    @property
    def idempotent(self) -> bool:
        """Whether the call may be repeated when it is not known if it arrived."""
        return self.method == "GET"


def _fields(request: Request) -> dict[str, Any]:
    return {name: value for name, value in msgspec.to_builtins(request).items() if value is not None}


def _same(reply: T) -> T:
    return reply


def _read(path: str, reply: type[T], query: Request = NoQuery(), *, signed: bool = True) -> Call[T]:  # noqa: B008
    return _read_part(path, reply, _same, query, signed=signed)


def _read_part(
    path: str,
    reply: Any,
    unwrap: Callable[[Any], T],
    query: Request = NoQuery(),  # noqa: B008 (has no fields)
    *,
    signed: bool = True,
) -> Call[T]:
    return Call("GET", read_target(API_PREFIX + path, query), reply, unwrap, signed=signed)


def _write(
    method: Literal["POST", "PUT", "DELETE"], path: str, request: Request, reply: Any, unwrap: Callable[[Any], T]
) -> Call[T]:
    return Call(method, API_PREFIX + path, reply, unwrap, body=msgspec.json.encode(_fields(request)))


def read(target: str) -> Call[bytes]:
    """Any GET, by its path and query such as ``/api/v1/market/ticker?symbol=BTCUSDT``, with its reply as it came."""
    return Call("GET", target, msgspec.Raw, bytes)


def read_target(path: str, query: Request) -> str:
    """The path and query of a GET."""
    text = urlencode(_fields(query), quote_via=quote)
    return f"{path}?{text}" if text else path


def _optional(name: str, value: Number | None) -> str | None:
    return None if value is None else decimal_text(name, value)


# Public, without a key.


def ping() -> Call[None]:
    """Whether the server answers."""
    return _read_part("/public/ping", rows.Empty, lambda _: None, signed=False)


def server_time() -> Call[int]:
    """The server's clock, ns since the epoch."""
    return _read_part("/public/time", rows.ServerTime, lambda reply: int(reply.server_time), signed=False)


# The market (scope read).


def contract(symbol: str) -> Call[rows.Contract]:
    """What can be done with one symbol: tick, step, bounds, margin rates."""
    return _read("/market/contract", rows.Contract, requests.SymbolQuery(symbol=symbol))


def contracts() -> Call[list[rows.Contract]]:
    """All that can be traded."""
    return _read("/market/contract", list[rows.Contract])


def ticker(symbol: str) -> Call[rows.Ticker]:
    """Best prices, last, mark and index price, funding, the last 24 hours of one symbol."""
    return _read("/market/ticker", rows.Ticker, requests.SymbolQuery(symbol=symbol))


def tickers() -> Call[list[rows.Ticker]]:
    """The tickers of all symbols."""
    return _read("/market/ticker", list[rows.Ticker])


def funding_infos(symbol: str | None = None) -> Call[list[rows.FundingInfo]]:
    """Funding of one perpetual or of all; empty for a spot pair."""
    return _read("/market/funding-info", list[rows.FundingInfo], requests.SymbolQuery(symbol=symbol))


def klines(
    symbol: str, interval: str, *, start: Time | None = None, end: Time | None = None, limit: int = 100
) -> Call[list[Candle]]:
    """Candles, oldest first; the last one may still be open.

    ``interval`` is one of 1 3 5 15 30 60 120 180 240 360 720 (minutes), 1D 1W 1M. ``start`` and ``end`` bound the
    candles' starts and are both inclusive. ``limit`` is 100 to 1000: with ``start`` the first ones from there, without
    it the newest. `iterate_klines` goes on over any length of time.
    """
    query = requests.KlineQuery(
        symbol=symbol,
        interval=interval,
        start_time=time_text("start", start),
        end_time=time_text("end", end),
        limit=limit,
    )
    return _read("/market/kline", list[Candle], query)


def order_book(symbol: str, limit: int = 100) -> Call[rows.Orderbook]:
    """The best ``limit`` levels a side (at most 1000), best first."""
    return _read("/market/orderbook", rows.Orderbook, requests.OrderbookQuery(symbol=symbol, limit=limit))


def fee_rates() -> Call[list[rows.FeeRate]]:
    """The fee levels."""
    return _read("/market/fee-rate", list[rows.FeeRate])


def symbols() -> Call[rows.Symbols]:
    """The names of all spot pairs and perpetuals."""
    return _read("/trade/symbol", rows.Symbols)


# The account (scope read; the trade mode: trade).


def account() -> Call[rows.AccountInfo]:
    """The sums over the whole account, in USDT."""
    return _read("/account", rows.AccountInfo)


def margins(currency: str | None = None) -> Call[list[rows.Margin]]:
    """Margin of one currency or of all."""

    def unwrap(reply: rows.Margins) -> list[rows.Margin]:
        return reply.margins

    return _read_part("/account/margin", rows.Margins, unwrap, requests.MarginQuery(currency=currency))


def balances(asset: str | None = None) -> Call[list[rows.Balance]]:
    """Balance of one asset or of all."""
    return _read("/account/balance", list[rows.Balance], requests.BalanceQuery(asset=asset))


def positions(symbol: str | None = None) -> Call[list[rows.Position]]:
    """A row for each symbol with a position or an explicit leverage setting; without a position its
    ``position_side`` is ``None``.
    """
    return _read("/account/position", list[rows.Position], requests.SymbolQuery(symbol=symbol))


def set_trade_mode(trade_mode: Literal["ONE_WAY", "MULTIPLE_POSITIONS"]) -> Call[rows.TradeMode]:
    """Choose the trade mode. Orders are taken in ONE_WAY."""
    request = requests.TradeModeRequest(trade_mode=trade_mode)
    return _write("PUT", "/account/trade-mode", request, rows.TradeMode, _same)


# Trade (scope trade; open orders and history: read).


def _order(reply: rows.OrderReply) -> rows.Order:
    return reply.order


def _position(reply: rows.PositionReply) -> rows.Position:
    return reply.position


def place_order(
    symbol: str,
    side: Literal["BUY", "SELL"],
    quantity: Number | None = None,
    *,
    amount: Number | None = None,
    price: Number | None = None,
    trigger_price: Number | None = None,
    match_best: bool = False,
    time_in_force: Literal["GTC", "IOC", "FOK"] | None = None,
    reduce_only: bool = False,
    max_slippage_price: Number | None = None,
) -> Call[rows.Order]:
    """Place an order; the row shows it after its first fills.

    Which type it has follows from what is given: ``price`` or ``match_best`` (the opposite side's best price) make it
    LIMIT, ``trigger_price`` (of the mid price) STOP_MARKET, neither MARKET. Exactly one of ``quantity`` (base) and
    ``amount`` (quote notional) is needed. ``time_in_force`` goes with LIMIT only; without it, GTC.

    Never repeated by the client once it may have arrived: see `ConnectionFailed.may_have_arrived`.
    Raises ``ValueError`` when more than one price is given, and ``ApiError`` for what the exchange refuses.
    """
    if (price is not None) + (trigger_price is not None) + match_best > 1:
        raise ValueError("expected at most one of price, trigger_price and match_best, got several")
    if trigger_price is not None:
        kind, stated = "STOP_MARKET", _optional("trigger_price", trigger_price)
    else:
        kind, stated = "MARKET" if price is None and not match_best else "LIMIT", _optional("price", price)
    request = requests.OrderRequest(
        symbol=symbol,
        side=side,
        type=kind,  # type: ignore[arg-type]
        quantity=_optional("quantity", quantity),
        amount=_optional("amount", amount),
        price=stated,
        price_match_strategy=COUNTERPARTY_1 if match_best else None,  # type: ignore[arg-type]
        reduce_only=True if reduce_only else None,
        max_slippage_price=_optional("max_slippage_price", max_slippage_price),
        time_in_force=time_in_force,
    )
    return _write("POST", "/trade/order", request, rows.OrderReply, _order)


def amend_order(
    symbol: str, order_id: str, *, take_profit: Number | None = None, stop_loss: Number | None = None
) -> Call[rows.Order]:
    """Set take-profit and stop-loss of an open order, or of the position that a filled one opened.

    Both are mid prices; ``None`` leaves one as it is.
    """
    request = requests.AmendOrderRequest(
        symbol=symbol,
        order_id=order_id,
        new_take_profit_price=_optional("take_profit", take_profit),
        new_stop_loss_price=_optional("stop_loss", stop_loss),
    )
    return _write("PUT", "/trade/order", request, rows.OrderReply, _order)


def cancel_order(symbol: str, order_id: str) -> Call[None]:
    """Cancel an open order."""
    request = requests.CancelOrderRequest(symbol=symbol, order_id=order_id)
    return _write("DELETE", "/trade/order", request, rows.Empty, lambda _: None)


def open_orders(symbol: str | None = None) -> Call[list[rows.Order]]:
    """Open orders of one symbol or of all, oldest first."""

    def unwrap(reply: list[rows.Order] | rows.OrderList) -> list[rows.Order]:
        # Documented as an object, observed as an array.
        return reply.orders if isinstance(reply, rows.OrderList) else reply

    reply = list[rows.Order] | rows.OrderList
    return _read_part("/trade/order", reply, unwrap, requests.SymbolQuery(symbol=symbol))


def set_leverage(symbol: str, leverage: int, margin_type: Literal["CROSS", "ISOLATED"]) -> Call[rows.Position]:
    """Set leverage and margin type of a perpetual."""
    request = requests.LeverageRequest(symbol=symbol, leverage=leverage, margin_type=margin_type)
    return _write("POST", "/trade/leverage", request, rows.PositionReply, _position)


def add_margin(symbol: str, amount: Number) -> Call[rows.Position]:
    """Add margin (in the quote currency) to an isolated position."""
    request = requests.MarginRequest(symbol=symbol, amount=decimal_text("amount", amount), type=1)
    return _write("POST", "/trade/margin", request, rows.PositionReply, _position)


def reduce_margin(symbol: str, amount: Number) -> Call[rows.Position]:
    """Take margin out of an isolated position."""
    request = requests.MarginRequest(symbol=symbol, amount=decimal_text("amount", amount), type=2)
    return _write("POST", "/trade/margin", request, rows.PositionReply, _position)


def order_history(
    symbol: str | None = None,
    *,
    product_type: Literal["SPOT", "PERPETUAL"] | None = None,
    count: int = 64,
    before: str | None = None,
    after: str | None = None,
    start: Time | None = None,
    end: Time | None = None,
) -> Call[rows.OrderHistory]:
    """One page of past and open orders, newest first.

    ``after`` (an order id) gives what is older than that order, ``before`` what is newer; ``start`` and ``end`` bound
    the time of placing, inclusive. `iterate_orders` goes through all pages.
    """
    query = requests.OrderHistoryQuery(
        product_type=product_type,
        symbol=symbol,
        count=count,
        before=before,
        after=after,
        start_time=time_text("start", start),
        end_time=time_text("end", end),
    )
    return _read("/trade/order/history", rows.OrderHistory, query)


def execution_history(
    symbol: str | None = None,
    *,
    order_id: str | None = None,
    exec_type: rows.ExecType | None = None,
    product_type: Literal["SPOT", "PERPETUAL"] | None = None,
    count: int = 64,
    before: str | None = None,
    after: str | None = None,
    start: Time | None = None,
    end: Time | None = None,
) -> Call[rows.ExecutionHistory]:
    """One page of executions and funding payments, newest first; the cursors are order ids.

    ``order_id`` and ``exec_type`` (``"TRADE"`` for fills) choose among them. `iterate_executions` goes through all
    pages.
    """
    query = requests.ExecutionHistoryQuery(
        product_type=product_type,
        symbol=symbol,
        count=count,
        before=before,
        after=after,
        start_time=time_text("start", start),
        end_time=time_text("end", end),
        order_id=order_id,
        exec_type=exec_type,
    )
    return _read("/trade/execution/history", rows.ExecutionHistory, query)
