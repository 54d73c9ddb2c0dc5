"""A server process, and what a stranger would write to talk to it: `httpx`, `websockets` and the signing rule."""

import hashlib
import hmac
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

PERPETUAL = "BTCUSDT.PERP"
SPOT = "BTCUSDT"
STREAM = "/api/v1/stream"
# Nothing here should ever take this long; it only keeps a test that would wait for ever from doing so.
PATIENCE = 20.0


def sign(secret: str, method: str, target: str, expires: str, body: bytes = b"") -> str:
    message = (method + target + expires).encode() + body
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def environment(home: Path) -> dict[str, str]:
    """The environment of a command: nothing of the user's settings, and the user's noted server left alone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TICKWIRE_")}
    if "PYTHONPATH" in kept:
        # A command may run in another directory than the tests.
        kept["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, kept["PYTHONPATH"].split(os.pathsep)))
    return {**kept, "XDG_CACHE_HOME": str(home), "NO_COLOR": "1", "COLUMNS": "120", "TERM": "dumb"}


def tickwire(
    *arguments: str, home: Path, cwd: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command of the project to its end."""
    return subprocess.run(
        [sys.executable, "-m", "tickwire.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**environment(home), **variables},
        timeout=60,
    )


class Server:
    """One `tickwire serve`, ready once this is made."""

    def __init__(self, directory: Path, *flags: str, port: int = 0, verify: ssl.SSLContext | bool = True) -> None:
        self.directory = directory
        self._stderr = directory.with_suffix(".stderr")
        self._stderr.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "tickwire.cli", "serve", "--port", str(port), "--data", str(directory), *flags]
        with self._stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment(directory.parent)
            )
        assert self.process.stdout is not None
        self.banner = ""
        for line in self.process.stdout:
            self.banner += line
            if "Ctrl-C stops it" in line:
                break
        else:
            self.process.wait()
            self.process.stdout.close()
            raise AssertionError(f"the server has not started: {self.stderr()}")
        info = json.loads((directory / "server.json").read_bytes())
        self.url: str = info["url"]
        self.token: str = info["control_token"]
        self.stream_url = self.url.replace("http", "ws", 1) + STREAM
        self.http = httpx.Client(base_url=self.url, timeout=PATIENCE, verify=verify)
        self.demo = Account(self, info["demo_key"], info["demo_secret"], "demo")
        self._accounts = 0

    def stderr(self) -> str:
        return self._stderr.read_text()

    def control(self, method: str, path: str, body: object = None) -> Any:
        """One request of the control plane that is to succeed."""
        reply = self.http.request(method, f"/_tickwire/{path}", json=body, headers={"x-tickwire-token": self.token})
        assert reply.status_code == 200, reply.text
        return reply.json()

    def key(self, account: str, **more: object) -> "Account":
        """A new key for an account, which is opened where it is new."""
        made = self.control("POST", "keys", {"account": account, **more})
        return Account(self, made["key"], made["secret"], account)

    def account(self) -> "Account":
        """A new account with the initial balance."""
        self._accounts += 1
        return self.key(f"trader-{self._accounts}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the process by a signal; its exit code."""
        self.http.close()
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def __enter__(self) -> "Server":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.returncode is None:
            code = self.stop()
            if error is None:
                assert code == 0, self.stderr()
        if error is None:
            assert self.stderr() == ""


class Account:
    """One key with what can be done with it."""

    def __init__(self, server: Server, key: str, secret: str, name: str) -> None:
        self.server = server
        self.http = server.http
        self.key = key
        self.secret = secret
        self.name = name

    def headers(self, method: str, target: str, body: bytes = b"", expires: str | None = None) -> dict[str, str]:
        expires = expires or str(int(time.time()) + 60)
        signature = sign(self.secret, method, target, expires, body)
        return {"api-key": self.key, "api-expires": expires, "api-signature": signature}

    def send(
        self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """A signed request with exactly this target (below `/api/v1`) and body."""
        target = f"/api/v1{target}"
        signed = self.headers(method, target, body) | (headers or {})
        if body:
            signed.setdefault("content-type", "application/json")
        return self.http.request(method, target, content=body, headers=signed, extensions={"target": target.encode()})

    def get(self, target: str) -> Any:
        """The body of a reply with status 200."""
        return _body(self.send("GET", target))

    def write(self, method: str, target: str, **fields: object) -> Any:
        """A write that is to succeed; the body of its reply."""
        return _body(self.send(method, target, json.dumps(fields).encode()))

    def refused(self, method: str, target: str, **fields: object) -> tuple[str, str]:
        """A request that is to be refused with 400; the code and message of its reply."""
        reply = self.send(method, target, json.dumps(fields).encode() if method != "GET" else b"")
        assert reply.status_code == 400, reply.text
        body = reply.json()
        assert set(body) == {"error", "message"}
        assert reply.headers["x-prex-error-type"] == body["error"]
        assert reply.headers["content-type"] == "application/json"
        return body["error"], body["message"]

    # Trading, in the words that the scenarios use.

    def place(self, side: str, quantity: str | None = None, price: str | None = None, **more: Any) -> dict[str, Any]:
        """Place an order, LIMIT with a price and MARKET without one; its row."""
        row: dict[str, Any] = self.write("POST", "/trade/order", **_order(side, quantity, price, more))["order"]
        return row

    def buy(self, quantity: str | None = None, price: str | None = None, **more: Any) -> dict[str, Any]:
        return self.place("BUY", quantity, price, **more)

    def sell(self, quantity: str | None = None, price: str | None = None, **more: Any) -> dict[str, Any]:
        return self.place("SELL", quantity, price, **more)

    def not_placed(self, side: str, quantity: str | None = None, price: str | None = None, **more: Any) -> str:
        """The code with which an order is refused."""
        return self.refused("POST", "/trade/order", **_order(side, quantity, price, more))[0]

    def cancel(self, order: dict[str, Any]) -> Any:
        return self.write("DELETE", "/trade/order", symbol=order["symbol"], orderId=order["orderId"])

    def cancel_all(self) -> None:
        for order in self.open_orders():
            self.cancel(order)

    def open_orders(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/trade/order")
        return found

    def position(self, symbol: str = PERPETUAL) -> dict[str, Any] | None:
        """The position's row, or `None` when there is neither a position nor a setting."""
        rows: list[dict[str, Any]] = self.get(f"/account/position?symbol={symbol}")
        assert len(rows) <= 1
        return rows[0] if rows else None

    def leverage(self, leverage: int, margin_type: str = "CROSS", symbol: str = PERPETUAL) -> dict[str, Any]:
        row: dict[str, Any] = self.write(
            "POST", "/trade/leverage", symbol=symbol, leverage=leverage, marginType=margin_type
        )["position"]
        return row

    def past(self, order: dict[str, Any]) -> dict[str, Any]:
        """The history row of an order."""
        rows = self.get(f"/trade/order/history?symbol={order['symbol']}&count=1000")["history"]
        return next(row for row in rows if row["orderId"] == order["orderId"])

    def executions(self, order: dict[str, Any]) -> list[dict[str, Any]]:
        """What happened to an order, oldest first."""
        rows: list[dict[str, Any]] = self.get(f"/trade/execution/history?orderId={order['orderId']}")["history"]
        return rows[::-1]

    def everything(self) -> dict[str, Any]:
        """All that REST shows of the account."""
        return {
            target: self.get(target)
            for target in (
                "/account", "/account/margin", "/account/balance", "/account/position", "/trade/order",
                "/trade/order/history?count=1000", "/trade/execution/history?count=1000",
            )
        }  # fmt: skip

    @contextmanager
    def stream(self, *topics: str, **options: Any) -> Iterator["Stream"]:
        """An open stream that is subscribed to `topics`, their SNAPSHOTs read."""
        options.setdefault("additional_headers", self.headers("GET", STREAM))
        # No pings of the client's own: what is on the wire is what the test sends.
        options = {"max_size": None, "ping_interval": None, "open_timeout": PATIENCE, "close_timeout": 2} | options
        url = options.pop("url", self.server.stream_url)
        with connect(url, **options) as connection:
            stream = Stream(connection)
            if topics:
                stream.subscribe(*topics)
            yield stream


def _order(side: str, quantity: str | None, price: str | None, more: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {"symbol": PERPETUAL, "side": side, "type": "MARKET" if price is None else "LIMIT"}
    fields |= {name: value for name, value in (("quantity", quantity), ("price", price)) if value is not None}
    return fields | more


def _body(reply: httpx.Response) -> Any:
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "application/json"
    return reply.json()


Message = dict[str, Any]


class Stream:
    """The client's end of a stream. Data frames are kept until a test takes them."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.snapshots: dict[str, Message] = {}
        self._barrier = 0
        self._waiting: list[Message] = []

    def send(self, *arguments: str, **operation: object) -> None:
        self.connection.send(json.dumps({**operation, "args": arguments} if arguments else operation))

    def receive(self) -> Message:
        """The next message, whatever it is."""
        if self._waiting:
            return self._waiting.pop(0)
        message = self.connection.recv(PATIENCE)
        assert isinstance(message, str)
        found: Message = json.loads(message)
        return found

    def subscribe(self, *topics: str) -> list[Message]:
        """Subscribe, and take the reply and the SNAPSHOTs, which come next to each other."""
        self.send(*topics, op="subscribe")
        skipped = []
        while "success" not in (reply := self.receive()):
            skipped.append(reply)
        assert reply == {"success": True, "op": "subscribe", "args": list(topics)}
        snapshots = [self.receive() for _ in topics]
        for topic, snapshot in zip(topics, snapshots, strict=True):
            assert snapshot["topic"] == topic
            self.snapshots[topic] = snapshot
        self._waiting = skipped + self._waiting
        return snapshots

    def barrier(self) -> list[Message]:
        """All data frames of what has happened until now.

        The reply to an unsubscribe takes its turn behind all frames that were due before it; one of a topic that is
        not subscribed changes nothing.
        """
        self._barrier += 1
        mark = f"barrier-{self._barrier}"
        self.send("kline.1M.ETHUSDT", op="unsubscribe", id=mark)
        found = []
        while (message := self.receive()).get("id") != mark:
            found.append(message)
        return found

    def rows(self, topic: str) -> list[Any]:
        """The rows of all UPDATEs of one topic up to now; frames of other topics are dropped."""
        return rows_of(self.barrier(), topic)

    def collect(self, wanted: Callable[[list[Message]], bool]) -> list[Message]:
        """Messages up to the one with which `wanted` is true of them."""
        found: list[Message] = []
        deadline = time.monotonic() + PATIENCE
        while not wanted(found):
            assert time.monotonic() < deadline, f"still waiting after {len(found)} messages"
            found.append(self.receive())
        return found

    def for_seconds(self, seconds: float) -> list[Message]:
        """All messages of some seconds and those up to a barrier behind them."""
        deadline = time.monotonic() + seconds
        found = []
        while time.monotonic() < deadline:
            found.append(self.receive())
        return found + self.barrier()

    def for_seconds_of_silence(self, seconds: float) -> list[Message]:
        """All messages until none has come for some seconds."""
        found, self._waiting = self._waiting, []
        while True:
            try:
                found.append(json.loads(self.connection.recv(seconds)))
            except TimeoutError:
                return found


def rows_of(messages: list[Message], topic: str) -> list[Any]:
    """The rows of one topic's frames, in their order."""
    return [
        row for message in messages if message["topic"] == topic for part in message["data"] for row in part["rows"]
    ]


def until(wanted: Callable[[], bool]) -> None:
    """Wait until something has become true."""
    deadline = time.monotonic() + PATIENCE
    while not wanted():
        assert time.monotonic() < deadline, "still not so"
        time.sleep(0.02)
