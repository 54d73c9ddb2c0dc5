"""A server that does nothing but send: ``python -m benchmarks.client_feed KIND COUNT``, for the benchmark ``client``.

It prints its port, and gives each client that subscribes the same frames, made before, as fast as the socket takes
them. KIND is ``ticker`` or ``book``.
"""

import base64
import hashlib
import random
import socket
import sys
from collections.abc import Iterator

from tickwire.stream.frames import text_frame
from tickwire.wire.envelope import data_frame
from tickwire.wire.rows import OrderbookDelta, Ticker

__all__ = ["LEVELS", "SYMBOL", "frames", "main"]

SYMBOL = "BTCUSDT.PERP"
LEVELS = 100
_START = 1_765_975_842_095_607_088
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frames(kind: str, count: int) -> Iterator[bytes]:
    """``count`` payloads as the exchange sends them: a SNAPSHOT and then changes."""
    return _tickers(count) if kind == "ticker" else _books(count)


def _tickers(count: int) -> Iterator[bytes]:
    """Most changes are of the best prices alone, a third are trades, one in ten has every field."""
    chance = random.Random(1)
    topic = f"ticker.{SYMBOL}"
    for number in range(count):
        bid = f"{74000 + chance.randrange(10_000) / 10:.1f}"
        quote = {"symbol": SYMBOL, "bidPrice": bid, "askPrice": bid[:-1] + "9"}
        drawn = chance.random()
        row: object = quote
        if not number or drawn < 0.1:
            row = Ticker(
                SYMBOL, "16570.636045", "1246941640.1090202", "-95.2", "0.402696", bid, bid[:-1] + "9", bid, bid, bid,
                "0.0001", "1765987200000000000", 8, "0.00375",
            )  # fmt: skip
        elif drawn < 0.4:
            row = quote | {"lastPrice": bid, "volume24h": f"{number}.5", "turnover24h": f"{number}00.25"}
        yield data_frame(topic, _START + number, "UPDATE" if number else "SNAPSHOT", [row])


def _books(count: int) -> Iterator[bytes]:
    """A book of 100 levels a side. A change sets one to three levels near the best price; one in ten goes and comes."""
    chance = random.Random(2)
    topic = f"orderbook.delta.{SYMBOL}"
    prices = {
        -1: [f"{74000 - n / 10:.1f}" for n in range(1, LEVELS + 1)],
        1: [f"{74000 + n / 10:.1f}" for n in range(LEVELS)],
    }
    gone: list[tuple[int, str]] = []
    whole = [[(price, "1.5") for price in prices[side]] for side in (-1, 1)]
    yield data_frame(topic, _START, "SNAPSHOT", [OrderbookDelta(SYMBOL, 0, 0, *whole)])
    for number in range(1, count):
        changed: dict[int, list[tuple[str, str]]] = {-1: [], 1: []}
        for _ in range(chance.randrange(1, 4)):
            side = chance.choice((-1, 1))
            price = prices[side][min(int(chance.expovariate(0.1)), LEVELS - 1)]
            changed[side].append((price, f"{chance.randrange(1, 10_000)}.5"))
        if gone:
            side, price = gone.pop()
            changed[side].append((price, "2.5"))
        elif chance.random() < 0.1:
            side = chance.choice((-1, 1))
            price = chance.choice(prices[side])
            changed[side].append((price, "0"))
            gone.append((side, price))
        yield data_frame(
            topic, _START + number, "UPDATE", [OrderbookDelta(SYMBOL, number, number - 1, changed[-1], changed[1])]
        )


def main(kind: str, count: int) -> None:
    """Serve one client after the other, until the process is ended."""
    data = b"".join(map(text_frame, frames(kind, count)))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            peer, _ = listener.accept()
            with peer:
                _serve(peer, data)


def _serve(peer: socket.socket, data: bytes) -> None:
    request = b""
    while b"\r\n\r\n" not in request:
        request += peer.recv(65_536)
    (key,) = [line[18:].strip() for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:")]
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    peer.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        b"sec-websocket-accept: %b\r\n\r\n" % accept
    )
    peer.recv(65_536)  # what it subscribes to
    try:
        peer.sendall(data)
        while peer.recv(65_536):
            pass
    except ConnectionError:
        pass  # it has what it wanted


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
