import pytest

from tickwire.service.clock import ExchangeClock
from tickwire.wire.intervals import HOUR, SECOND

START = 1_765_975_842 * SECOND


class Machine:
    """A machine's two clocks, set by hand."""

    def __init__(self) -> None:
        self.wall = START
        self.monotonic = 17

    def pass_time(self, duration: int) -> None:
        self.wall += duration
        self.monotonic += duration

    def clock(self, newest: int = 0) -> ExchangeClock:
        return ExchangeClock(newest, wall=lambda: self.wall, monotonic=lambda: self.monotonic)


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_it_is_the_machines(machine: Machine) -> None:
    clock = machine.clock()
    for step in (0, 1, SECOND, 5 * HOUR):
        machine.pass_time(step)
        assert clock() == machine.wall


def test_it_goes_forward_with_the_machines(machine: Machine) -> None:
    clock = machine.clock()
    clock()
    machine.wall += HOUR
    assert clock() == machine.wall


def test_set_back_it_goes_on_a_tenth_slower_until_it_is_caught_up(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    clock = machine.clock()
    before = clock()
    machine.wall -= HOUR
    assert clock() == before
    for minute in range(1, 600):
        machine.pass_time(60 * SECOND)
        assert clock() == before + minute * 54 * SECOND
    machine.pass_time(60 * SECOND)
    assert clock() == machine.wall == before + 9 * HOUR
    machine.pass_time(SECOND)
    assert clock() == machine.wall
    (record,) = caplog.records
    assert record.getMessage().startswith("the clock is 3600.0 s behind the exchange, which is at 2025-12-17T12:50:42")


def test_set_back_twice_it_never_goes_back(machine: Machine) -> None:
    clock = machine.clock()
    seen = [clock()]
    for step in (-HOUR, 7, SECOND, -HOUR, 1, -5, 3 * HOUR, SECOND, -1):
        machine.wall += step
        machine.monotonic += max(0, step)
        seen.append(clock())
    assert seen == sorted(seen)


def test_set_right_again_it_follows_at_once(machine: Machine) -> None:
    clock = machine.clock()
    clock()
    machine.wall -= HOUR
    clock()
    machine.pass_time(10 * SECOND)
    machine.wall += HOUR
    assert clock() == machine.wall


def test_it_begins_at_the_newest_command(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    clock = machine.clock(START + HOUR)
    assert clock() == START + HOUR
    machine.pass_time(10 * SECOND)
    assert clock() == START + HOUR + 9 * SECOND
    assert "the clock is 3600.0 s behind" in caplog.text


def test_small_steps_of_a_time_service_are_not_worth_a_word(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    clock = machine.clock()
    clock()
    machine.wall -= SECOND // 10
    assert clock() == START
    machine.pass_time(SECOND)
    assert clock() == machine.wall
    assert caplog.text == ""
