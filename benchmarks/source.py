"""Frames at their intended times: what the servers of the stream benchmarks publish, tickwire and rivals alike.

Only the standard library: rivals run it in an environment of their own. A server follows the lines of its standard
input (``follow``): ``publish RATE TOGETHER SECONDS`` has TOGETHER frames due RATE times a second, evenly, the topics
in turn. Each payload carries the time at which it was due and its number within its topic, so a server that falls
behind can't hide it.
"""

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable

__all__ = ["LARGEST_TOPICS", "SUBSCRIBED", "Source", "follow", "requested_topics", "text_frame"]

LARGEST_TOPICS = 1000
SUBSCRIBED = '{"success":true,"op":"subscribe"}'  # what a rival answers
# Before the first frame is due.
_LEAD_NS = 20_000_000
# uvloop's timers have whole milliseconds, and what is due between two of them leaves with the next: waiting for less
# would be a loop that spins, whose CPU says nothing.
_SHORTEST_SLEEP = 0.001

_PRICE = "7%04d.1"
_FIELDS = (
    *(f'"{name}":"{_PRICE}"' for name in ("bidPrice", "askPrice", "lastPrice", "markPrice", "indexPrice")),
    '"volume24h":"18394.250731"',
    '"turnover24h":"1378551217.40512"',
    '"priceChange24h":"-412.7"',
)


class Source:
    """Makes the payloads of ``topics`` topics, each of ``size`` bytes.

    Prices change from frame to frame and the other figures do not, as in a ticker, so that compression has what it
    would have. A size that has no room for them is filled with the envelope and the marks alone.
    """

    def __init__(self, topics: int, size: int) -> None:
        if not 1 <= topics <= LARGEST_TOPICS:
            raise ValueError(f"topics: expected 1 to {LARGEST_TOPICS}, got {topics}")
        self.size = size
        self.names = [f"ticker.T{number:03}.PERP" for number in range(topics)]
        self._sequences = [0] * topics
        self._templates = [_template(number, name, size) for number, name in enumerate(self.names)]

    def next(self, topic: int, intended: int) -> bytes:
        """The next payload of a topic, due at ``intended`` (ns since the epoch)."""
        self._sequences[topic] = sequence = self._sequences[topic] + 1
        return self._payload(topic, intended, sequence)

    def newest(self, topic: int) -> bytes:
        """The topic's state: the newest payload again, with the time of now."""
        return self._payload(topic, time.time_ns(), self._sequences[topic])

    def template(self, topic: int) -> bytes:
        """The topic's payload with ``<ts>``, ``<price>`` and ``<sequence>`` where they go, for other languages."""
        text = self._templates[topic][0]
        for place, name in ((b"%d", b"<ts>"), (b"%04d", b"<price>"), (b"%08d", b"<sequence>")):
            text = text.replace(place, name)
        return text

    def _payload(self, topic: int, intended: int, sequence: int) -> bytes:
        template, prices = self._templates[topic]
        price = sequence * 7919
        return template % (intended, *[(price + step) % 10_000 for step in range(prices)], sequence)


def _template(number: int, name: str, size: int) -> tuple[bytes, int]:
    """A format of exactly ``size`` bytes once it is filled, and how many prices it wants."""
    symbol = name.removeprefix("ticker.")
    rows = '{"actionType":"UPDATE","rows":[{%s"mark":"%03d.%%08d"}]}'
    fields: tuple[str, ...] = (f'"symbol":"{symbol}"', *_FIELDS)
    while True:
        form = rows if fields else rows[rows.index('{%s"mark') : -2]  # the smallest do without the action
        text = (
            f'{{"topic":"{name}","ts":"%d","data":[' + form % ("".join(f"{field}," for field in fields), number) + "]}"
        )
        prices = text.count("%04d")
        room = size - len(text % (10**18, *[0] * prices, 0))
        if room >= 0:
            return text.replace('"mark"', _filler(room) + '"mark"').encode(), prices
        if not fields:
            raise ValueError(f"size: expected at least {size - room} bytes, got {size}")
        fields = fields[:-1]


def _filler(room: int) -> str:
    """One more field, with the levels of a book; blanks where there is no room for it."""
    around = len('"levels":"",')
    levels = "".join(f"7{step * 7919 % 10_000:04}.1 {step * 104_729 % 10_000:04};" for step in range(room // 13 + 1))
    return f'"levels":"{levels[: room - around]}",' if room > around else " " * room


def text_frame(payload: bytes) -> bytes:
    """The unmasked frame of a text message."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    return bytes((0x81, 126)) + size.to_bytes(2, "big") + payload


def requested_topics(message: str | bytes) -> list[str]:
    """The topics that a reader's subscription names."""
    topics: list[str] = json.loads(message)["args"]
    return topics


async def follow(source: Source, publish: Callable[[int, bytes], None]) -> None:
    """Publish as standard input says until it ends, and print after each line how many frames it made."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, "")

    threading.Thread(target=read, daemon=True).start()
    while line := await lines.get():
        rate, together, seconds = line.removeprefix("publish ").split()
        print(await _publish(source, publish, float(rate), int(together), float(seconds)), flush=True)


async def _publish(
    source: Source, publish: Callable[[int, bytes], None], rate: float, together: int, seconds: float
) -> int:
    turns, topics = round(rate * seconds), len(source.names)
    start = time.time_ns() + _LEAD_NS
    number = topic = 0
    while number < turns:
        now = time.time_ns()
        while number < turns and (intended := start + int(number * 1e9 / rate)) <= now:
            for _ in range(together):
                publish(topic, source.next(topic, intended))
                topic = (topic + 1) % topics
            number += 1
        due = start + int(number * 1e9 / rate)
        await asyncio.sleep(max(_SHORTEST_SLEEP, (due - time.time_ns()) / 1e9))
    return turns * together
