"""The sandbox's control plane under ``/_tickwire/``: health for anybody, keys and deposits for the token's holder.

The token is asked for from loopback peers too: any page open in a browser on this machine can send requests there, but
cannot know the token.
"""

from collections.abc import Callable
from typing import Annotated, Literal

from msgspec import Meta

from tickwire.exchange import views
from tickwire.exchange.commands import Deposit
from tickwire.exchange.engine import Engine
from tickwire.exchange.events import Events
from tickwire.exchange.instruments import MAX_UNITS, parse_money
from tickwire.keys.keyring import ApiKey, InvalidKey, KeyRingError
from tickwire.rest.endpoint import Endpoint, encode, writes
from tickwire.rest.gateway import Gateway
from tickwire.wire.errors import ApiError
from tickwire.wire.requests import NoQuery, Request
from tickwire.wire.rows import Balance, Decimal, Row, Timestamp

__all__ = ["CONTROL_PREFIX", "TOKEN_HEADER", "control_endpoints"]

CONTROL_PREFIX = "/_tickwire/"
TOKEN_HEADER = "x-tickwire-token"  # noqa: S105  # the header's name
_SCOPES: tuple[Literal["read", "trade"], ...] = ("read", "trade")

AccountName = Annotated[
    str,
    Meta(description="1 to 64 letters, digits, _, . or -.", extra_json_schema={"pattern": "^[A-Za-z0-9_.-]{1,64}$"}),
]
KeyText = Annotated[
    str,
    Meta(description="8 to 128 letters, digits, _ or -.", extra_json_schema={"pattern": "^[A-Za-z0-9_-]{8,128}$"}),
]
Secret = Annotated[
    str,
    Meta(description="1 to 256 printable ASCII characters.", extra_json_schema={"pattern": "^[!-~]{1,256}$"}),
]
Scopes = Annotated[tuple[Literal["read", "trade"], ...], Meta(min_length=1)]
Networks = Annotated[
    tuple[str, ...],
    Meta(description="Addresses and networks (192.0.2.0/24) the key works from; empty: from everywhere."),
]


class CreateKeyRequest(Request):
    """``POST /_tickwire/keys``. Key and secret are random where none are given."""

    account: Annotated[AccountName, Meta(description="An account that does not exist yet is opened and funded.")]
    scopes: Scopes = ("read", "trade")
    allow: Networks = ()
    key: KeyText | None = None
    secret: Secret | None = None


class DepositRequest(Request):
    """``POST /_tickwire/deposit``."""

    account: AccountName
    asset: str
    amount: Annotated[Decimal, Meta(description="Negative takes out what is free.")]


class KeyRow(Row):
    """A key without its secret."""

    key: KeyText
    account: AccountName
    scopes: Scopes
    allow: Networks
    created: Timestamp


class CreatedKey(Row):
    """A new key. The secret is not shown again."""

    key: KeyText
    secret: Secret
    account: AccountName
    scopes: Scopes
    allow: Networks
    created: Timestamp


class KeyList(Row):
    """Every key that can be used, oldest first."""

    keys: list[KeyRow]


class Revoked(Row):
    """Whether the key could be used until now."""

    revoked: bool


class Health(Row):
    """The server's state; more fields than these may be there."""

    status: str
    version: str


def _scopes(key: ApiKey) -> tuple[Literal["read", "trade"], ...]:
    return tuple(scope for scope in _SCOPES if scope in key.scopes)


async def _list_keys(gateway: Gateway, _argument: str, _query: NoQuery) -> bytes:
    return encode(
        KeyList(
            [KeyRow(key.key, key.account, _scopes(key), key.allow, str(key.created)) for key in gateway.keys.list()]
        )
    )


async def _create_key(gateway: Gateway, _argument: str, request: CreateKeyRequest) -> bytes:
    try:
        key = gateway.keys.create(
            request.account, request.scopes, request.allow, request.key, request.secret, gateway.now()
        )
    except InvalidKey as error:
        raise ApiError("InvalidParameter", str(error)) from None
    except KeyRingError as error:
        raise ApiError("Unavailable", str(error)) from None
    try:
        await gateway.open_account(request.account)
    except BaseException:
        # A key without an account would be of no use, and its text could not be given out again.
        gateway.keys.revoke(key.key, gateway.now())
        raise
    return encode(CreatedKey(key.key, key.secret, key.account, _scopes(key), key.allow, str(key.created)))


async def _revoke_key(gateway: Gateway, argument: str, _query: NoQuery) -> bytes:
    try:
        return encode(Revoked(gateway.keys.revoke(argument, gateway.now())))
    except KeyRingError as error:
        raise ApiError("Unavailable", str(error)) from None


def _deposit(engine: Engine, _argument: str, request: DepositRequest) -> Deposit:
    asset = request.asset
    account = engine.account(request.account)
    assets = {name for market in engine.markets.values() for name in (market.instrument.base, market.instrument.quote)}
    if asset not in assets:
        raise ApiError("InvalidParameter", f"asset: expected one of {' '.join(sorted(assets))}, got {asset[:20]!r}")
    if request.amount.startswith("-"):
        amount = -parse_money("amount", request.amount[1:])
    else:
        amount = parse_money("amount", request.amount)
        if account.wallets.get(asset, 0) + amount > MAX_UNITS:
            raise ApiError("InvalidParameter", f"amount: expected a balance the engine can hold, got {request.amount}")
    return Deposit(request.account, asset, amount)


def _deposited(engine: Engine, _argument: str, request: DepositRequest, _events: Events) -> object:
    return views.balances(engine, request.account, request.asset)[0]


def control_endpoints(health: Callable[[], dict[str, object]]) -> tuple[Endpoint, ...]:
    """The rows of the table under ``/_tickwire/``; ``{key}`` in a path reaches its handler in the account's place."""

    async def show_health(_gateway: Gateway, _argument: str, _query: NoQuery) -> bytes:
        return encode(health())

    return (
        Endpoint(
            method="GET",
            path="/_tickwire/health",
            tag="control",
            scope=None,
            summary="Whether the server is well",
            reply=Health,
            reply_example={"status": "ok", "version": "0.1.0"},
            handle=show_health,
        ),
        Endpoint(
            method="GET",
            path="/_tickwire/keys",
            tag="control",
            scope="control",
            summary="All keys, without their secrets",
            reply=KeyList,
            reply_example=KeyList([KeyRow("demo-key-1", "demo", ("read", "trade"), (), "1765975842095607088")]),
            handle=_list_keys,
        ),
        Endpoint(
            method="POST",
            path="/_tickwire/keys",
            tag="control",
            scope="control",
            summary="Create a key, and its account where it is new",
            request=CreateKeyRequest,
            example=CreateKeyRequest(account="demo"),
            reply=CreatedKey,
            reply_example=CreatedKey("demo-key-1", "demo-secret", "demo", ("read", "trade"), (), "1765975842095607088"),
            errors=("Unavailable",),
            handle=_create_key,
        ),
        Endpoint(
            method="DELETE",
            path="/_tickwire/keys/{key}",
            tag="control",
            scope="control",
            summary="Revoke a key for ever and close its sockets",
            reply=Revoked,
            reply_example=Revoked(True),
            errors=("Unavailable",),
            handle=_revoke_key,
        ),
        Endpoint(
            method="POST",
            path="/_tickwire/deposit",
            tag="control",
            scope="control",
            summary="Add to an account's balance",
            request=DepositRequest,
            example=DepositRequest(account="demo", asset="USDT", amount="10000"),
            reply=Balance,
            reply_example=Balance("USDT", "10000", "10000", "10000"),
            errors=("InsufficientBalance",),
            handle=writes(_deposit, _deposited),
        ),
    )
