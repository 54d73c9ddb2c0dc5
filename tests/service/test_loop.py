"""The watch on the loop: a turn that takes long is seen, and said at a level that is not the default."""

import asyncio
import logging
import time

import pytest

from tickwire.service.loop import SLOW_SECONDS, LoopWatch


async def observed(watch: LoopWatch, count: int) -> None:
    while watch.seconds.count < count:  # noqa: ASYNC110  # it tells nobody
        await asyncio.sleep(0.01)


async def test_a_slow_turn_is_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tickwire.loop")
    watch = LoopWatch(asyncio.get_running_loop())
    await observed(watch, 2)
    before = watch.slow
    time.sleep(SLOW_SECONDS + 0.15)  # noqa: ASYNC251  # what is to be found
    count = watch.seconds.count
    await observed(watch, count + 1)
    watch.stop()
    assert watch.slow == before + 1
    record = caplog.records[-1]
    assert record.levelno == logging.INFO
    assert record.fields["seconds"] >= SLOW_SECONDS  # type: ignore[attr-defined]
    assert watch.seconds.sum >= SLOW_SECONDS
    count = watch.seconds.count
    await asyncio.sleep(0.15)
    assert watch.seconds.count == count, "it has been stopped"
