"""What it saves that readers of the same topics share the joined bytes: the CPU of hub and outboxes for a delivery.

1,000 readers with 20 of 100 topics each, the same 20 for all of them or 20 drawn for each; a turn brings 1, 20 or 100
frames of 320 bytes on topics drawn from the 100, or from the 20 that all read. No sockets: a write is a call that does
nothing, so that the kernel's part, some 6 us a write, is not in the figures. The rival is the same hub that never looks
for readers to share; `fan_out` and `many_topics` measure the whole way.
"""

import gc
import random
import time
from collections.abc import Callable, Sequence

from benchmarks.report import Row
from tickwire.bus.feed import Listener
from tickwire.stream.hub import Hub, Reader
from tickwire.stream.session import Step
from tickwire.stream.settings import StreamCounters, StreamSettings
from tickwire.wire.envelope import data_frame
from tickwire.wire.errors import ApiError
from tickwire.wire.topics import TopicKey, parse_topic

__all__ = ["run"]

NAME = "sharing"
TOPICS, TOPICS_A_READER = 100, 20
KEYS = [TopicKey.of(parse_topic(f"ticker.S{number}"), "") for number in range(TOPICS)]
PAYLOAD = data_frame("ticker.S1", 1_765_975_842_095_607_088, "UPDATE", ({"symbol": "S1", "lastPrice": "7" * 190},))


class _Timer:
    def cancel(self) -> None:
        """Nothing here is ever cancelled."""


class _Loop:
    """A loop that is run by hand: what is to come later comes when the benchmark says so."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], object]] = []
        self.later: list[Callable[[], object]] = []

    def time(self) -> float:
        return 0.0

    def call_soon(self, callback: Callable[[], object]) -> None:
        self.soon.append(callback)

    def call_later(self, _delay: float, callback: Callable[[], object]) -> _Timer:
        self.later.append(callback)
        return _Timer()

    def run(self) -> None:
        while self.soon:
            soon, self.soon = self.soon, []
            for callback in soon:
                callback()


class _Feed:
    def __init__(self) -> None:
        self.listener: Listener

    def refusal(self, _key: TopicKey) -> ApiError | None:
        return None

    def listen(self, listener: Listener) -> None:
        self.listener = listener

    def join(self, keys: Sequence[TopicKey], then: Callable[[list[bytes]], None]) -> None:
        then([PAYLOAD] * len(keys))

    def leave(self, _key: TopicKey) -> None:
        pass

    def settle(self, then: Callable[[], None]) -> None:
        then()


def _measure(readers: int, same: bool, frames: int, deliveries: int, share: bool) -> float:
    """CPU seconds a delivery."""
    choose = random.Random(7)
    feed, loop, counters = _Feed(), _Loop(), StreamCounters()
    hub = Hub(feed, counters, loop, StreamSettings(), epoch="e")
    for _ in range(readers):
        reader = Reader(hub, "key", lambda _data: None, lambda _name: None, deflate=False, held_bytes=1 << 20)
        hub.attach(reader)
        topics = KEYS[:TOPICS_A_READER] if same else choose.sample(KEYS, TOPICS_A_READER)
        hub.perform(reader, Step((b"{}",), join=tuple(topics)))
    loop.run()
    if share:
        for callback in loop.later:
            callback()
        loop.run()
    keys = KEYS[:TOPICS_A_READER] if same else KEYS
    gc.collect()
    before = counters.frames_out
    begin = time.process_time()
    while counters.frames_out - before < deliveries:
        for _ in range(frames):
            feed.listener(choose.choice(keys), PAYLOAD)
        loop.run()
    return (time.process_time() - begin) / (counters.frames_out - before)


def run(quick: bool) -> list[Row]:
    """Half a million deliveries a case; quick 2,000 to 50 readers."""
    readers, deliveries = (50, 2_000) if quick else (1_000, 500_000)
    rows = []
    for same in (True, False):
        for frames in (1, 20, 100):
            alone = _measure(readers, same, frames, deliveries, share=False)
            shared = _measure(readers, same, frames, deliveries, share=True)
            case = f"{readers:,} readers of {'the same' if same else 'any'} 20 topics, {frames} frames a turn"
            rival = "each by itself"
            rows += [
                Row(NAME, f"{rival}, {case}", "CPU a delivery", "us", {"": alone * 1e6}),
                Row(NAME, f"tickwire, {case}", "CPU a delivery", "us", {"": shared * 1e6}, shared / alone, rival),
            ]
    return rows
