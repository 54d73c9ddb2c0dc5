"""What one endpoint is, and the two ways in which nearly all of them work.

The table of endpoints is the single source of routing, scopes, request and reply types, and of the OpenAPI document.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar

import msgspec

from tickwire.exchange.commands import Command
from tickwire.exchange.engine import Engine
from tickwire.exchange.events import Events
from tickwire.rest.gateway import Gateway
from tickwire.wire.requests import NoQuery, Request

__all__ = ["Endpoint", "Handler", "encode", "reads", "writes"]

Handler = Callable[[Gateway, str, Any], Awaitable[bytes]]
"""``(gateway, account, request)`` to the JSON reply; ``account`` is empty without a key. Raises ``ApiError``."""

R = TypeVar("R", bound=Request)

encode = msgspec.json.Encoder().encode


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table. ``request`` is the body of a write, and the query of anything else."""

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    tag: Literal["public", "market", "account", "trade", "history", "control"]
    scope: Literal["read", "trade", "control"] | None  # control: the token of the control plane; None: nothing
    summary: str
    description: str = ""
    request: type[Request] = NoQuery
    example: Request | None = None  # of the body
    reply: Any
    reply_example: object
    errors: tuple[str, ...] = ()  # codes of the catalogue beside those that any request of its kind can have
    handle: Handler

    @property
    def takes_body(self) -> bool:
        """Whether the request is in the body."""
        return self.method != "GET" and self.request is not NoQuery


def reads(render: Callable[[Engine, str, R], object]) -> Handler:
    """The handler of a GET: shows the state as it is now, once all that it shows is committed."""

    async def handle(gateway: Gateway, account: str, request: R) -> bytes:
        reply = encode(render(gateway.engine, account, request))
        await gateway.settled()
        return reply

    return handle


def writes(intake: Callable[[Engine, str, R], Command], render: Callable[[Engine, str, R, Events], object]) -> Handler:
    """The handler of a write: a command, and what the state right after it looks like."""

    async def handle(gateway: Gateway, account: str, request: R) -> bytes:
        engine = gateway.engine
        command = intake(engine, account, request)
        return await gateway.submit(command, lambda events: encode(render(engine, account, request, events)))

    return handle
