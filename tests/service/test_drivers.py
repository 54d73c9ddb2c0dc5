"""The clock's driver on a real loop, with a machine's clock that is set back while it runs."""

import asyncio
import time
from pathlib import Path

import pytest
from tests.service.exchange import Exchange

from tickwire.service.drivers import ClockDriver
from tickwire.service.verify import verify
from tickwire.wire.intervals import HOUR, SECOND


class LiveExchange(Exchange):
    """By the machine's clock, less what it is set back by."""

    set_back = 0

    @property
    def time(self) -> int:
        return time.time_ns() - self.set_back

    @time.setter
    def time(self, value: int) -> None:
        pass


async def until(exchange: Exchange, at: int) -> None:
    """Let the loop run until the newest command is of that time."""
    async with asyncio.timeout(30):
        while exchange.engine.time < at:  # noqa: ASYNC110  # the engine has no event to wait for
            await asyncio.sleep(0.01)


async def test_seconds_go_on_when_the_clock_is_set_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    exchange = LiveExchange(tmp_path)
    times: list[int] = []
    apply = exchange.sequencer.apply

    def noted(command: object) -> object:
        events = apply(command)  # type: ignore[arg-type]
        times.append(events.time)
        return events

    exchange.sequencer.apply = noted  # type: ignore[method-assign,assignment]
    driver = ClockDriver(exchange.sequencer, asyncio.get_running_loop())
    await until(exchange, exchange.engine.time + SECOND)
    before = exchange.engine.time
    exchange.set_back = HOUR
    await until(exchange, before + 2 * SECOND)
    assert "the clock is 3600.0 s behind" in caplog.text or "the clock is 3599" in caplog.text
    # One command a second at most, and the last one of a second that has really begun.
    seconds = [at // SECOND for at in times[1:]]
    assert seconds == sorted(set(seconds))
    assert times[-1] <= time.time_ns()
    driver.stop()
    await exchange.close()
    report = verify(tmp_path, lambda done, total: None)
    assert (report.problems, report.sequence) == ([], len(times))
