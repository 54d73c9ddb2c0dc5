"""A process that trades until its server is gone, again and again, and says what it was told.

Each line of stdin is a server's port; the answer is one line of JSON: the operations that were acknowledged, the one
that was on its way, and the frames of the account's stream. Every order has a quantity of its own, by which it is known
again whether its reply has come or not. What rests is far from the market, so that nothing changes once this is silent.
"""

import json
import random
import socket
import sys
import threading
import time
from http.client import HTTPConnection, HTTPException
from typing import Any

from tests.contract.support import PERPETUAL, SPOT, sign
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

STREAM = "/api/v1/stream"
MOST_OPEN = 40


class Trader:
    """One account's trading, in rounds."""

    def __init__(self, key: str, secret: str, seed: int) -> None:
        self.key = key
        self.secret = secret
        self.random = random.Random(seed)
        self.number = 0  # of orders, over all rounds
        self.price = 75_000.0
        self.open: list[dict[str, Any]] = []
        self.done: list[dict[str, Any]] = []
        self.on_its_way: dict[str, Any] | None = None

    def headers(self, method: str, target: str, body: str = "") -> dict[str, str]:
        expires = str(int(time.time()) + 60)
        signature = sign(self.secret, method, target, expires, body.encode())
        return {"api-key": self.key, "api-expires": expires, "api-signature": signature}

    def call(self, connection: HTTPConnection, method: str, target: str, **fields: object) -> tuple[int, Any]:
        body = json.dumps(fields) if fields else ""
        target = f"/api/v1{target}"
        headers = self.headers(method, target, body) | {"content-type": "application/json"}
        connection.request(method, target, body or None, headers)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())

    def round(self, port: int) -> dict[str, Any]:
        """Trade until the server is gone."""
        self.done, self.on_its_way = [], None
        frames: list[Any] = []
        connection = HTTPConnection("127.0.0.1", port, timeout=20)
        listener: threading.Thread | None = None
        try:
            stream = connect(
                f"ws://127.0.0.1:{port}{STREAM}",
                additional_headers=self.headers("GET", STREAM),
                max_size=None,
                ping_interval=None,
            )
            listener = threading.Thread(target=listen, args=(stream, frames))
            listener.start()
            self.open = self.call(connection, "GET", "/trade/order")[1]
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                self.step(connection)
        except (OSError, HTTPException, WebSocketException):
            pass
        connection.close()
        if listener is not None:
            listener.join()
        return {"done": self.done, "on_its_way": self.on_its_way, "frames": frames}

    def step(self, connection: HTTPConnection) -> None:
        """One operation."""
        draw = self.random.random()
        if self.open and (draw < 0.25 or len(self.open) > MOST_OPEN):
            order = self.open.pop(self.random.randrange(len(self.open)))
            self.do(connection, "cancel", "DELETE", "/trade/order", symbol=order["symbol"], orderId=order["orderId"])
        elif draw < 0.33:
            leverage = self.random.randint(5, 25)
            self.do(
                connection, "leverage", "POST", "/trade/leverage",
                symbol=PERPETUAL, leverage=leverage, marginType="CROSS",
            )  # fmt: skip
        else:
            self.place(connection)

    def place(self, connection: HTTPConnection) -> None:
        self.number += 1
        side = self.random.choice(("BUY", "SELL"))
        fields: dict[str, Any] = {"symbol": PERPETUAL, "side": side, "quantity": f"{0.001 + self.number / 1e6:.6f}"}
        draw = self.random.random()
        if draw < 0.35:
            fields["type"] = "MARKET"
            if draw < 0.1:
                fields |= {"symbol": SPOT, "side": "BUY" if draw < 0.06 else "SELL"}
        elif draw < 0.55:
            limit = self.price * (1.001 if side == "BUY" else 0.999)
            fields |= {"type": "LIMIT", "timeInForce": "IOC", "price": f"{limit:.1f}"}
        elif draw < 0.65:
            fields |= {"type": "STOP_MARKET", "price": f"{self.price * (1.3 if side == 'BUY' else 0.7):.1f}"}
        else:
            distance = self.random.uniform(0.15, 0.3)
            limit = self.price * (1 - distance if side == "BUY" else 1 + distance)
            fields |= {"type": "LIMIT", "price": f"{limit:.1f}"}
        reply = self.do(connection, "place", "POST", "/trade/order", **fields)
        if reply is None:
            return
        order = reply["order"]
        if order["status"] == "NEW":
            self.open.append(order)

    def do(self, connection: HTTPConnection, kind: str, method: str, target: str, **fields: object) -> Any:
        """Send an operation and note its reply, or that there was none; the reply unless it was refused."""
        self.on_its_way = {"kind": kind, **fields}
        status, reply = self.call(connection, method, target, **fields)
        self.on_its_way = None
        if status == 200:
            self.done.append({"kind": kind, "sent": fields, "reply": reply})
            return reply
        if status != 400:
            raise SystemExit(f"{method} {target}: {status} {reply}")
        return None


def listen(stream: ClientConnection, frames: list[Any]) -> None:
    """Collect the frames of the account until the server is gone."""
    try:
        stream.send(json.dumps({"op": "subscribe", "args": ["account.execution", "account.balance"]}))
        for text in stream:
            frame = json.loads(text)
            if "topic" in frame:
                frames.append(frame)
    except (OSError, WebSocketException):
        pass


if __name__ == "__main__":
    trader = Trader(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    for line in sys.stdin:
        print(json.dumps(trader.round(int(line))), flush=True)
