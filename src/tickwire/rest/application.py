"""The HTTP application: one ASGI callable over the table of endpoints.

There is no framework below it: the signature is over raw bytes and must be checked before anything is parsed, every
refusal has a form of its own, and the paths hold no parameters, so a router would have nothing to do.
"""

import hmac
import logging
from collections.abc import Callable, Iterable, Sequence
from time import perf_counter

import msgspec

from tickwire.keys.auth import authenticate
from tickwire.keys.keyring import ApiKey
from tickwire.rest.account import ACCOUNT_ENDPOINTS
from tickwire.rest.control import CONTROL_PREFIX, TOKEN_HEADER, control_endpoints
from tickwire.rest.endpoint import Endpoint
from tickwire.rest.gateway import Gateway
from tickwire.rest.history import HISTORY_ENDPOINTS
from tickwire.rest.limits import RequestLimits
from tickwire.rest.market import MARKET_ENDPOINTS
from tickwire.rest.messages import (
    JSON,
    TEXT,
    Headers,
    MethodNotAllowed,
    Receive,
    Scope,
    Send,
    read_body,
    send_refusal,
    send_reply,
)
from tickwire.rest.metrics import METRICS_PATH, OTHER, RequestCounters, may_read_metrics
from tickwire.rest.pages import Pages
from tickwire.rest.parameters import parse_query
from tickwire.rest.trade import OpenOrders, trade_endpoints
from tickwire.wire.errors import ApiError
from tickwire.wire.requests import NoQuery, Request, decode_body, decode_query
from tickwire.wire.rows import Empty
from tickwire.wire.signing import API_PREFIX, STREAM_PATH

__all__ = ["Application", "endpoints"]

_log = logging.getLogger(__name__)

_API_ROOT = API_PREFIX.encode()
_API_TREE = _API_ROOT + b"/"
_CONTROL_TREE = CONTROL_PREFIX.encode()
_TOKEN_HEADER = TOKEN_HEADER.encode()
_NANOSECONDS = 1_000_000_000

_METRICS_TYPE = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")

RawHeaders = dict[bytes, bytes]
Answered = tuple[str, int]


def endpoints(open_orders: OpenOrders = "bare") -> tuple[Endpoint, ...]:
    """The whole table under ``/api/v1``."""
    return (*MARKET_ENDPOINTS, *ACCOUNT_ENDPOINTS, *trade_endpoints(open_orders), *HISTORY_ENDPOINTS)


async def _stream_without_upgrade(_gateway: Gateway, _account: str, _query: NoQuery) -> bytes:
    raise ApiError("InvalidParameter", "upgrade: expected a WebSocket handshake, got a plain request")


# Handshakes never come here. Not in the table, as it is documented with the stream.
_STREAM = Endpoint(
    method="GET",
    path=STREAM_PATH,
    tag="public",
    scope=None,
    summary="The stream",
    reply=Empty,
    reply_example={},
    handle=_stream_without_upgrade,
)


class _Route:
    """An endpoint with what a request needs of it looked up once."""

    __slots__ = ("handle", "integers", "names", "path", "request", "scope", "takes_body")

    def __init__(self, endpoint: Endpoint) -> None:
        fields = msgspec.structs.fields(endpoint.request)
        self.path = endpoint.path
        self.scope = endpoint.scope
        self.handle = endpoint.handle
        self.request = endpoint.request
        self.takes_body = endpoint.takes_body
        self.names = frozenset(field.encode_name for field in fields)
        self.integers = frozenset(field.encode_name for field in fields if isinstance(field.default, int))

    def decode(self, query: bytes, body: bytes, headers: RawHeaders) -> Request:
        """The request. Raises ``ApiError`` InvalidParameter that names the field."""
        if not self.takes_body:
            return decode_query(parse_query(query, self.names, self.integers) if query else {}, self.request)
        content_type = headers.get(b"content-type", b"application/json")
        if content_type != b"application/json":
            kind = content_type.partition(b";")[0].strip().lower()
            if kind != b"application/json":
                got = kind[:80].decode("latin-1")
                raise ApiError("InvalidParameter", f"content-type: expected application/json, got {got}")
        return decode_body(body, self.request)


class Application:
    """The ASGI callable.

    ``health`` gives what ``/_tickwire/health`` shows, ``metrics`` what ``/_tickwire/metrics`` does; ``control_token``
    opens all of ``/_tickwire/``, ``metrics_token`` the metrics only; ``limits=None`` lets every request through and
    leaves the ``x-ratelimit`` headers out. ``table`` stands in for
    ``endpoints(open_orders)`` where something else than an exchange answers, without ``metrics`` there is no such page.
    """

    def __init__(
        self,
        gateway: Gateway,
        *,
        health: Callable[[], dict[str, object]],
        control_token: str,
        metrics: Callable[[], str] | None = None,
        metrics_token: str | None = None,
        limits: RequestLimits | None,
        open_orders: OpenOrders = "bare",
        table: Sequence[Endpoint] | None = None,
    ) -> None:
        self.failures = 0  # requests that ended in an unexpected exception
        self.counters = RequestCounters()
        self._gateway = gateway
        self._limits = limits
        self._metrics = metrics
        self._control_token = control_token.encode()
        self._metrics_tokens = [self._control_token, *([metrics_token.encode()] if metrics_token else [])]
        table = endpoints(open_orders) if table is None else table
        control = control_endpoints(health)
        self._routes = _routes((*table, _STREAM))
        self._control_routes = _routes(control)
        self._pages = Pages((*table, *control))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            raise ValueError(f"expected an http scope, got {scope['type']}")
        started = perf_counter()
        path: bytes = scope["raw_path"]
        routes = self._routes.get(path)
        if routes is not None:
            answered = await self._answer(scope, receive, send, path, routes)
        elif path == _API_ROOT or path.startswith(_API_TREE):
            answered = await self._answer_unknown(scope, receive, send)
        elif path == METRICS_PATH and self._metrics is not None:
            answered = await self._answer_metrics(scope, send, self._metrics)
        elif path.startswith(_CONTROL_TREE):
            answered = await self._answer_control(scope, receive, send, path)
        else:
            answered = await self._answer_page(scope, send, path)
        if answered is not None:
            endpoint, status = answered
            self.counters.answered(scope["method"], endpoint, status, perf_counter() - started)

    # Each gives the endpoint and the status it has answered with, or None where the client went away.

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, path: bytes, routes: dict[str, _Route]
    ) -> Answered | None:
        """A request for an endpoint of the contract."""
        gateway = self._gateway
        now = gateway.clock() / _NANOSECONDS
        method: str = scope["method"]
        address = _address(scope)
        headers: Headers = []
        counted = False
        try:
            body = await read_body(receive)
            if body is None:
                return None
            route = routes.get("GET" if method == "HEAD" else method)
            if route is None:
                raise MethodNotAllowed(method, routes)
            given: RawHeaders = dict(scope["headers"])
            query: bytes = scope["query_string"]
            account = ""
            owner = address
            if route.scope is not None:
                key = self._authenticate(method, path, query, body, given, route.scope, address, now)
                account = key.account
                owner = key.key
            counted = True
            self._count(headers, owner, now)
            content = await route.handle(gateway, account, route.decode(query, body, given))
        except Exception as raised:
            error = raised if isinstance(raised, ApiError) else self._failure(method, path)
            if not counted:
                # Refused before it was known whose it is: counted for its address.
                try:
                    self._count(headers, address, now)
                except ApiError as limit:
                    error = limit
            await send_refusal(send, method, headers, error)
            return path.decode(), error.status
        headers.append(JSON)
        await send_reply(send, method, 200, headers, content)
        return path.decode(), 200

    async def _answer_unknown(self, scope: Scope, receive: Receive, send: Send) -> Answered | None:
        """A request for a path that the contract does not have."""
        method: str = scope["method"]
        headers: Headers = []
        try:
            self._count(headers, _address(scope), self._gateway.clock() / _NANOSECONDS)
            if await read_body(receive) is None:
                return None
        except ApiError as error:
            await send_refusal(send, method, headers, error)
            return OTHER, error.status
        headers.append(TEXT)
        await send_reply(send, method, 403, headers, b"Invalid Origin")
        return OTHER, 403

    async def _answer_metrics(self, scope: Scope, send: Send, metrics: Callable[[], str]) -> Answered:
        """A request for the metrics, which are no JSON and open in ways of their own."""
        method: str = scope["method"]
        endpoint = METRICS_PATH.decode()
        error: ApiError
        if method not in ("GET", "HEAD"):
            error = MethodNotAllowed(method, ("GET",))
        elif not may_read_metrics(_address(scope), dict(scope["headers"]), scope["query_string"], self._metrics_tokens):
            error = ApiError("Forbidden")
        else:
            await send_reply(send, method, 200, [_METRICS_TYPE], metrics().encode())
            return endpoint, 200
        await send_refusal(send, method, [], error)
        return endpoint, error.status

    async def _answer_control(self, scope: Scope, receive: Receive, send: Send, path: bytes) -> Answered | None:
        """A request of the control plane."""
        method: str = scope["method"]
        argument = ""
        routes = self._control_routes.get(path)
        if routes is None:
            parent, _, last = path.rpartition(b"/")
            routes = self._control_routes.get(parent + b"/{key}")
            argument = last.decode("ascii", "replace")
        if routes is None:
            await send_reply(send, method, 404, [TEXT], b"Not Found")
            return OTHER, 404
        endpoint = next(iter(routes.values())).path
        try:
            body = await read_body(receive)
            if body is None:
                return None
            route = routes.get("GET" if method == "HEAD" else method)
            if route is None:
                raise MethodNotAllowed(method, routes)
            given: RawHeaders = dict(scope["headers"])
            if route.scope is not None and not hmac.compare_digest(given.get(_TOKEN_HEADER, b""), self._control_token):
                raise ApiError("Forbidden")
            request = route.decode(scope["query_string"], body, given)
            content = await route.handle(self._gateway, argument, request)
        except Exception as raised:
            error = raised if isinstance(raised, ApiError) else self._failure(method, path)
            await send_refusal(send, method, [], error)
            return endpoint, error.status
        await send_reply(send, method, 200, [JSON], content)
        return endpoint, 200

    async def _answer_page(self, scope: Scope, send: Send, path: bytes) -> Answered:
        """A request for anything else: the documents."""
        method: str = scope["method"]
        page = self._pages.find(path)
        if page is None:
            await send_reply(send, method, 404, [TEXT], b"Not Found")
            return OTHER, 404
        if method not in ("GET", "HEAD"):
            error = MethodNotAllowed(method, ("GET",))
            await send_refusal(send, method, [], error)
            return path.decode(), error.status
        await send_reply(send, method, 200, list(page.headers), page.body)
        return path.decode(), 200

    def _authenticate(
        self,
        method: str,
        path: bytes,
        query: bytes,
        body: bytes,
        headers: RawHeaders,
        scope: str,
        address: str,
        now: float,
    ) -> ApiKey:
        """The key that signed the request. Raises ``ApiError``."""

        def check(target: bytes) -> ApiKey:
            return authenticate(
                self._gateway.keys,
                method=method,
                target=target.decode("utf-8", "surrogateescape"),
                body=body,
                api_key=_text(headers.get(b"api-key")),
                expires=_text(headers.get(b"api-expires")),
                signature=_text(headers.get(b"api-signature")),
                scope=scope,
                address=address,
                now_seconds=now,
            )

        if query:
            return check(path + b"?" + query)
        try:
            return check(path)
        except ApiError as error:
            # ASGI does not tell "/account?" from "/account", and clients that append an empty query sign it.
            if error.code != "api.unauthorized":
                raise
            return check(path + b"?")

    def _count(self, headers: Headers, name: str, now: float) -> None:
        """Count a request and add its ``x-ratelimit`` headers. Raises ``ApiError`` TooManyRequests."""
        limits = self._limits
        if limits is None:
            return
        standing = limits.take(name, now)
        headers += (
            (b"x-ratelimit-limit", b"%d" % limits.rate),
            (b"x-ratelimit-remaining", b"%d" % standing.remaining),
            (b"x-ratelimit-reset", b"%d" % standing.reset),
        )
        if standing.retry_after:
            self.counters.limited += 1
            headers.append((b"retry-after", b"%d" % standing.retry_after))
            raise ApiError("TooManyRequests", f"expected at most {limits.rate} requests a second")

    def _failure(self, method: str, path: bytes) -> ApiError:
        """Log the exception at hand; the client learns no more than that there was one."""
        self.failures += 1
        _log.exception("%s %s failed", method, path.decode("ascii", "backslashreplace"))
        return ApiError("InternalError")


def _routes(table: Iterable[Endpoint]) -> dict[bytes, dict[str, _Route]]:
    routes: dict[bytes, dict[str, _Route]] = {}
    for endpoint in table:
        routes.setdefault(endpoint.path.encode(), {})[endpoint.method] = _Route(endpoint)
    return routes


def _address(scope: Scope) -> str:
    """The peer's; empty on a Unix socket."""
    client = scope.get("client")
    return client[0] if client else ""


def _text(value: bytes | None) -> str | None:
    """A header as text that encodes to the same bytes again, as the signature is over bytes."""
    return None if value is None else value.decode("utf-8", "surrogateescape")
