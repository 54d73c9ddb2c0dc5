"""A whole exchange without disk or sockets behind the application, and a client that signs."""

import functools
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec
from jsonschema import Draft202012Validator

from tickwire.exchange.commands import Command, CreateAccount, Deposit, PlaceOrder, Tick, VenuePrices
from tickwire.exchange.engine import Engine
from tickwire.exchange.events import Events
from tickwire.exchange.instruments import MONEY_UNIT, load_instruments
from tickwire.journal.records import Batch, ExecutionRecord, OrderRecord
from tickwire.journal.store import Store
from tickwire.keys.keyring import ApiKey, KeyRing
from tickwire.rest.application import Application, endpoints
from tickwire.rest.control import control_endpoints
from tickwire.rest.endpoint import encode
from tickwire.rest.limits import RequestLimits
from tickwire.rest.openapi import openapi_document
from tickwire.rest.trade import OpenOrders
from tickwire.wire.errors import ApiError
from tickwire.wire.signing import sign

T = TypeVar("T")

START = 1_765_975_842_000_000_000
TOKEN = "control-token"
PERPETUAL = "BTCUSDT.PERP"


class DirectGateway:
    """Commands are applied and journalled at once. ``log`` notes what was waited for."""

    def __init__(self, directory: Path) -> None:
        instruments = load_instruments((resources.files("tickwire.exchange") / "instruments.toml").read_text())
        self.engine = Engine(instruments)
        self.keys = KeyRing.open(directory)
        self.store = Store.open(directory)
        self.time = START
        self.stopped = False
        self.log: list[str] = []

    def now(self) -> int:
        return self.time

    clock = now

    async def submit(self, command: Command, render: Callable[[Events], T]) -> T:
        if self.stopped:
            raise ApiError("Unavailable")
        self.log.append(type(command).__name__)
        events = self.apply(command)
        if events.error is not None:
            raise events.error
        return render(events)

    async def settled(self) -> None:
        if self.stopped:
            raise ApiError("Unavailable")
        self.log.append("settled")

    async def open_account(self, account: str) -> None:
        if self.stopped:
            raise ApiError("Unavailable")
        if account not in self.engine.accounts:
            self.apply(CreateAccount(account))
            self.apply(Deposit(account, "USDT", 10_000 * MONEY_UNIT))

    def apply(self, command: Command) -> Events:
        self.time += 1000
        events = self.engine.apply(self.time, command)
        batch = Batch(events.sequence, [(events.time, command)], [], [])
        for event in events.executions:
            row = event.order
            if row is not None:
                batch.orders.append(
                    OrderRecord(
                        event.account,
                        event.order_id,
                        row.symbol,
                        event.perpetual,
                        event.order_time,
                        event.transact_time,
                        encode(row),
                    )
                )
            execution = event.execution
            batch.executions.append(
                ExecutionRecord(
                    event.account, event.exec_id, event.order_id, execution.symbol, event.perpetual,
                    execution.exec_type, event.transact_time, encode(execution),
                )
            )  # fmt: skip
        self.store.commit(batch, lambda error: None)
        return events

    def close(self) -> None:
        self.store.close()
        self.keys.close()

    def open_market(self) -> None:
        """Prices for the perpetual, and a house that quotes around them."""
        self.apply(Tick())
        self.apply(CreateAccount("house", house=True))
        self.apply(Deposit("house", "USDT", 10_000_000 * MONEY_UNIT))
        for _ in range(2):
            self.apply(VenuePrices(PERPETUAL, (749_370, 749_371, 749_372)))
        for depth in range(5):
            for side, price in ((1, 749_370 - depth), (-1, 749_371 + depth)):
                events = self.apply(PlaceOrder("house", PERPETUAL, side, 1, quantity=1_000_000, price=price))
                assert events.error is None, events.error


@functools.cache
def api_document(open_orders: OpenOrders = "bare") -> dict[str, Any]:
    """The OpenAPI document as a client reads it."""
    document = openapi_document((*endpoints(open_orders), *control_endpoints(dict)))
    decoded: dict[str, Any] = msgspec.json.decode(encode(document))
    return decoded


class Documented:
    """Checks that replies are what the OpenAPI document says of them."""

    def __init__(self, open_orders: OpenOrders) -> None:
        self.document = api_document(open_orders)
        self.validators: dict[str, Draft202012Validator] = {}

    def check(self, method: str, target: str, reply: httpx.Response) -> None:
        """Status, content type, headers and body of a reply to a request of a documented operation."""
        path = target.partition("?")[0]
        operation = self.document["paths"][path][method.lower()]
        response = operation["responses"].get(str(reply.status_code))
        assert response is not None, f"{method} {path}: {reply.status_code} is not documented: {reply.text}"
        for header in response["headers"]:
            assert header in reply.headers, f"{method} {path}: no header {header}"
        assert reply.headers["content-type"] == "application/json"
        name = f"{method} {path} {reply.status_code}"
        if name not in self.validators:
            schema = response["content"]["application/json"]["schema"]
            self.validators[name] = Draft202012Validator({**schema, "components": self.document["components"]})
        self.validators[name].validate(reply.json())


class Client:
    """Sends requests to the application without a socket, signed with ``key`` when there is one."""

    def __init__(
        self,
        application: Application,
        gateway: DirectGateway,
        key: ApiKey | None = None,
        open_orders: OpenOrders = "bare",
    ) -> None:
        self.application = application
        self.gateway = gateway
        self.key = key
        self.documented = Documented(open_orders)
        transport = httpx.ASGITransport(application, client=("192.0.2.7", 40_000))
        self.http = httpx.AsyncClient(transport=transport, base_url="http://exchange")

    def signed(self, method: str, target: str, body: bytes = b"", **replaced: str) -> dict[str, str]:
        """The three headers, with some of them replaced (``key``, ``expires``, ``signature``)."""
        assert self.key is not None
        expires = replaced.get("expires", str(self.gateway.now() // 10**9 + 60))
        return {
            "api-key": replaced.get("key", self.key.key),
            "api-expires": expires,
            "api-signature": replaced.get("signature", sign(self.key.secret, method, target, expires, body)),
        }

    async def send(
        self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Exactly this request."""
        return await self.http.request(method, target, content=body, headers=headers)

    async def call(self, method: str, target: str, body: object = None) -> httpx.Response:
        """A signed request with a JSON body."""
        content = b"" if body is None else body if isinstance(body, bytes) else msgspec.json.encode(body)
        headers = self.signed(method, target, content)
        if content:
            headers["content-type"] = "application/json"
        reply = await self.send(method, target, content, headers)
        self.documented.check(method, target, reply)
        return reply

    async def get(self, target: str) -> Any:
        """The JSON of a signed GET that has to succeed."""
        reply = await self.call("GET", target)
        assert reply.status_code == 200, reply.text
        return reply.json()


def make_application(gateway: DirectGateway, **settings: Any) -> Application:
    settings.setdefault("limits", RequestLimits())
    return Application(
        gateway,
        health=lambda: {"status": "ok", "version": "1.2.3"},
        metrics=lambda: "one 1\n",
        control_token=TOKEN,
        **settings,
    )
