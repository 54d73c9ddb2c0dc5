"""The REST API as two clients with the same methods: `RestClient` for asyncio, `SyncRestClient` for everything else.

What a call sends and brings is in `calls` and `pages`, signing and retries in `attempts`; here is what sends: httpx.
"""

import asyncio
import functools
import inspect
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, get_args

import httpx

from tickwire import __version__
from tickwire.client import calls, pages
from tickwire.client.address import rest_url
from tickwire.client.attempts import Attempts, Caller, Pause, RateLimit, Reply, Request
from tickwire.client.calls import Call
from tickwire.client.clock import ServerClock
from tickwire.client.errors import ConnectionFailed, TimedOut
from tickwire.client.pages import Pages
from tickwire.client.retries import Retries

__all__ = ["RestClient", "SyncRestClient"]

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")

# Below the 75 seconds after which servers close an idle connection (nginx and tickwire do): a write that meets a
# connection just being closed could not be repeated.
_IDLE_SECONDS = 60
# A few calls at a time share the connections; more wait for one.
_LIMITS = httpx.Limits(max_connections=20, max_keepalive_connections=20, keepalive_expiry=_IDLE_SECONDS)

# What httpx raises while nothing has been sent yet.
_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)


class _Options:
    """What both clients are made of."""

    def __init__(
        self,
        url: str,
        key: str = "",
        secret: str = "",
        *,
        timeout: float = 10.0,
        retries: Retries | None = None,
        clock: ServerClock | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """``url`` is the server's address (http, https, ws or wss). Without key and secret only `ping` and
        `server_time` can be called. ``timeout`` is in seconds, for connecting and for each wait on the reply.
        ``retries`` says how calls are repeated, ``clock`` where the time of signatures comes from (streams can share
        it), ``ssl_context`` whom to trust.
        """
        self.url = rest_url(url)
        self._caller = Caller(key, secret, clock or ServerClock(), retries or Retries())
        self._httpx_options: dict[str, Any] = {
            "base_url": self.url,
            "timeout": timeout,
            "limits": _LIMITS,
            "headers": {"user-agent": f"tickwire/{__version__}"},
            # Loading the certificates takes a while, and plain http needs none.
            "verify": ssl_context or self.url.startswith("https"),
        }

    @property
    def clock(self) -> ServerClock:
        """The server's clock as far as it is known."""
        return self._caller.clock

    @property
    def rate_limit(self) -> RateLimit | None:
        """Where the key stood after its latest reply; ``None`` before the first and with a server without limits."""
        return self._caller.rate_limit


def _failure(error: httpx.HTTPError, url: str) -> ConnectionFailed:
    said = str(error) or type(error).__name__
    kind = TimedOut if isinstance(error, httpx.TimeoutException) else ConnectionFailed
    if isinstance(error, _NOT_SENT):
        return kind(f"can't reach {url}: {said}", may_have_arrived=False)
    return kind(f"the connection to {url} failed before the whole reply was here: {said}", may_have_arrived=True)


def _reply(response: httpx.Response) -> Reply:
    return Reply(response.status_code, response.headers, response.content)


def _describe(method: Any, build: Callable[..., Any], wrap: Callable[[Any], Any]) -> None:
    """Give a method the name, documentation and signature of the function it is made from."""
    functools.update_wrapper(method, build)
    signature = inspect.signature(build)
    client = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    returned = wrap(get_args(signature.return_annotation)[-1])
    method.__signature__ = signature.replace(
        parameters=[client, *signature.parameters.values()], return_annotation=returned
    )


def _awaited(build: Callable[P, Call[T]]) -> Callable[Concatenate["RestClient", P], Coroutine[Any, Any, T]]:
    async def method(self: "RestClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.send(build(*args, **kwargs))

    _describe(method, build, lambda returned: returned)
    return method


def _awaited_pages(build: Callable[P, Pages[Any, R]]) -> Callable[Concatenate["RestClient", P], AsyncIterator[R]]:
    async def method(self: "RestClient", /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[R]:
        walk = build(*args, **kwargs)
        while walk.call is not None:
            for row in walk.take(await self.send(walk.call)):
                yield row

    _describe(method, build, lambda row: AsyncIterator[row])  # type: ignore[valid-type]
    return method


def _called(build: Callable[P, Call[T]]) -> Callable[Concatenate["SyncRestClient", P], T]:
    def method(self: "SyncRestClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.send(build(*args, **kwargs))

    _describe(method, build, lambda returned: returned)
    return method


def _called_pages(build: Callable[P, Pages[Any, R]]) -> Callable[Concatenate["SyncRestClient", P], Iterator[R]]:
    def method(self: "SyncRestClient", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        walk = build(*args, **kwargs)
        while walk.call is not None:
            yield from walk.take(self.send(walk.call))

    _describe(method, build, lambda row: Iterator[row])  # type: ignore[valid-type]
    return method


class RestClient(_Options):
    """Every REST call as a coroutine, every long history as an asynchronous iterator.

    ```python
    async with RestClient("http://127.0.0.1:8080", key, secret) as rest:
        print((await rest.ticker("BTCUSDT.PERP")).last_price)
        await rest.place_order("BTCUSDT.PERP", "BUY", "0.01")
        async for order in rest.iterate_orders():
            print(order.status)
    ```

    Methods raise ``ClientError``: ``ApiError`` when the server refuses, ``ConnectionFailed`` when it cannot be reached
    or does not answer in time, ``InvalidReply`` when the answer makes no sense. Reads are repeated (see `Retries`),
    writes only when they certainly never arrived.
    """

    _http: httpx.AsyncClient | None = None

    async def send(self, call: Call[T]) -> T:
        """Make a call of `tickwire.client.calls`; the methods below do just this."""
        return await self._drive(self._caller.attempts(call))

    async def measure_clock(self) -> int:
        """Ask for the server's time; the offset to the local clock in ns. Done by itself after a 401."""
        return await self._drive(self._caller.measure_clock())

    async def _drive(self, steps: Attempts[T]) -> T:
        outcome: Reply | ConnectionFailed | None = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                rows: T = end.value
                return rows
            if isinstance(step, Pause):
                outcome = None
                await asyncio.sleep(step.seconds)
            else:
                outcome = await self._exchange(step)

    async def _exchange(self, request: Request) -> Reply | ConnectionFailed:
        if self._http is None:
            self._http = httpx.AsyncClient(**self._httpx_options)
        try:
            return _reply(
                await self._http.request(
                    request.method, request.target, headers=request.headers, content=request.body or None
                )
            )
        except httpx.HTTPError as error:
            return _failure(error, self.url)

    async def aclose(self) -> None:
        """Close the connections. A later call opens new ones."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    ping = _awaited(calls.ping)
    server_time = _awaited(calls.server_time)
    contract = _awaited(calls.contract)
    contracts = _awaited(calls.contracts)
    ticker = _awaited(calls.ticker)
    tickers = _awaited(calls.tickers)
    funding_infos = _awaited(calls.funding_infos)
    klines = _awaited(calls.klines)
    order_book = _awaited(calls.order_book)
    fee_rates = _awaited(calls.fee_rates)
    symbols = _awaited(calls.symbols)
    account = _awaited(calls.account)
    margins = _awaited(calls.margins)
    balances = _awaited(calls.balances)
    positions = _awaited(calls.positions)
    set_trade_mode = _awaited(calls.set_trade_mode)
    place_order = _awaited(calls.place_order)
    amend_order = _awaited(calls.amend_order)
    cancel_order = _awaited(calls.cancel_order)
    open_orders = _awaited(calls.open_orders)
    set_leverage = _awaited(calls.set_leverage)
    add_margin = _awaited(calls.add_margin)
    reduce_margin = _awaited(calls.reduce_margin)
    order_history = _awaited(calls.order_history)
    execution_history = _awaited(calls.execution_history)
    iterate_klines = _awaited_pages(pages.iterate_klines)
    iterate_orders = _awaited_pages(pages.iterate_orders)
    iterate_executions = _awaited_pages(pages.iterate_executions)


class SyncRestClient(_Options):
    """`RestClient` without asyncio, for scripts and notebooks: the same methods, which return when they are done.

    ```python
    with SyncRestClient("http://127.0.0.1:8080", key, secret) as rest:
        print(rest.ticker("BTCUSDT.PERP").last_price)
    ```

    It may be used by several threads.
    """

    # Made once, whichever thread comes first.
    @functools.cached_property
    def _http(self) -> httpx.Client:
        return httpx.Client(**self._httpx_options)

    def send(self, call: Call[T]) -> T:
        """Make a call of `tickwire.client.calls`; the methods below do just this."""
        return self._drive(self._caller.attempts(call))

    def measure_clock(self) -> int:
        """Ask for the server's time; the offset to the local clock in ns. Done by itself after a 401."""
        return self._drive(self._caller.measure_clock())

    def _drive(self, steps: Attempts[T]) -> T:
        outcome: Reply | ConnectionFailed | None = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                rows: T = end.value
                return rows
            if isinstance(step, Pause):
                outcome = None
                time.sleep(step.seconds)
            else:
                outcome = self._exchange(step)

    def _exchange(self, request: Request) -> Reply | ConnectionFailed:
        try:
            return _reply(
                self._http.request(
                    request.method, request.target, headers=request.headers, content=request.body or None
                )
            )
        except httpx.HTTPError as error:
            return _failure(error, self.url)

    def close(self) -> None:
        """Close the connections. A later call opens new ones."""
        http: httpx.Client | None = self.__dict__.pop("_http", None)
        if http is not None:
            http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    ping = _called(calls.ping)
    server_time = _called(calls.server_time)
    contract = _called(calls.contract)
    contracts = _called(calls.contracts)
    ticker = _called(calls.ticker)
    tickers = _called(calls.tickers)
    funding_infos = _called(calls.funding_infos)
    klines = _called(calls.klines)
    order_book = _called(calls.order_book)
    fee_rates = _called(calls.fee_rates)
    symbols = _called(calls.symbols)
    account = _called(calls.account)
    margins = _called(calls.margins)
    balances = _called(calls.balances)
    positions = _called(calls.positions)
    set_trade_mode = _called(calls.set_trade_mode)
    place_order = _called(calls.place_order)
    amend_order = _called(calls.amend_order)
    cancel_order = _called(calls.cancel_order)
    open_orders = _called(calls.open_orders)
    set_leverage = _called(calls.set_leverage)
    add_margin = _called(calls.add_margin)
    reduce_margin = _called(calls.reduce_margin)
    order_history = _called(calls.order_history)
    execution_history = _called(calls.execution_history)
    iterate_klines = _called_pages(pages.iterate_klines)
    iterate_orders = _called_pages(pages.iterate_orders)
    iterate_executions = _called_pages(pages.iterate_executions)
