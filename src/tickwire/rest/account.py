"""The endpoints of the key's own account (contract section 5)."""

from tickwire.exchange import intake, views
from tickwire.exchange.engine import Engine
from tickwire.exchange.events import Events
from tickwire.rest import examples
from tickwire.rest.endpoint import Endpoint, reads, writes
from tickwire.wire import rows
from tickwire.wire.requests import BalanceQuery, MarginQuery, NoQuery, SymbolQuery, TradeModeRequest

__all__ = ["ACCOUNT_ENDPOINTS"]


def _account(engine: Engine, account: str, _query: NoQuery) -> object:
    return views.account(engine, account)


def _margins(engine: Engine, account: str, query: MarginQuery) -> object:
    return rows.Margins(views.margins(engine, account, query.currency))


def _balances(engine: Engine, account: str, query: BalanceQuery) -> object:
    return views.balances(engine, account, query.asset)


def _positions(engine: Engine, account: str, query: SymbolQuery) -> object:
    return views.positions(engine, account, query.symbol)


def _trade_mode(_engine: Engine, _account: str, request: TradeModeRequest, _events: Events) -> object:
    return rows.TradeMode(request.trade_mode)


ACCOUNT_ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/v1/account",
        tag="account",
        scope="read",
        summary="The whole account in USDT",
        description="The stream's topic is `account`.",
        reply=rows.AccountInfo,
        reply_example=examples.ACCOUNT_INFO,
        handle=reads(_account),
    ),
    Endpoint(
        method="GET",
        path="/api/v1/account/margin",
        tag="account",
        scope="read",
        summary="Margin by currency",
        description="The stream's topic is `account.margin`; its rows are the elements of `margins`.",
        request=MarginQuery,
        reply=rows.Margins,
        reply_example=rows.Margins([examples.MARGIN]),
        handle=reads(_margins),
    ),
    Endpoint(
        method="GET",
        path="/api/v1/account/balance",
        tag="account",
        scope="read",
        summary="Balances by asset",
        description="The stream's topic is `account.balance`.",
        request=BalanceQuery,
        reply=list[rows.Balance],
        reply_example=[examples.BALANCE],
        handle=reads(_balances),
    ),
    Endpoint(
        method="GET",
        path="/api/v1/account/position",
        tag="account",
        scope="read",
        summary="Positions",
        description=(
            "A row for each symbol with a position or an explicit leverage setting. The stream's topic is "
            "`account.position`."
        ),
        request=SymbolQuery,
        reply=list[rows.Position],
        reply_example=[examples.POSITION],
        errors=("InvalidSymbol",),
        handle=reads(_positions),
    ),
    Endpoint(
        method="PUT",
        path="/api/v1/account/trade-mode",
        tag="account",
        scope="trade",
        summary="Choose the trade mode",
        description="Orders are taken in ONE_WAY, in which every account starts.",
        request=TradeModeRequest,
        example=TradeModeRequest(trade_mode="ONE_WAY"),
        reply=rows.TradeMode,
        reply_example=rows.TradeMode("ONE_WAY"),
        handle=writes(intake.set_trade_mode, _trade_mode),
    ),
)
