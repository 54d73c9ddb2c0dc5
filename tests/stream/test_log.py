"""Refused handshakes are written sparingly, and none is forgotten: the next line says how many were left out."""

import logging

import pytest

from tickwire.stream.log import StreamLog


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def fields(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    return [record.fields for record in caplog.records]  # type: ignore[attr-defined]


def test_a_flood_is_cut_to_a_burst_and_the_rest_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tickwire.stream")
    clock = Clock()
    log = StreamLog(clock)
    for _ in range(1000):
        log.refused("TooManyRequests", "upgrades_per_minute", "192.0.2.7")
    assert fields(caplog) == [{"code": "TooManyRequests", "address": "192.0.2.7", "limit": "upgrades_per_minute"}] * 20
    clock.now += 10
    log.refused("api.unauthorized", "", "192.0.2.8")
    log.refused("api.unauthorized", "", "192.0.2.9")
    assert fields(caplog)[20:] == [{"code": "api.unauthorized", "address": "192.0.2.8", "left_out": 980}]
    clock.now += 10
    log.refused("Overloaded", "connections", "192.0.2.9", what="connection")
    assert caplog.records[-1].getMessage() == "connection refused"
    assert fields(caplog)[-1]["left_out"] == 1
    clock.now += 10_000
    caplog.clear()
    for _ in range(30):
        log.refused("api.unauthorized", "", "192.0.2.9")
    assert len(caplog.records) == 20


def test_what_is_not_written_does_not_use_up_the_lines(caplog: pytest.LogCaptureFixture) -> None:
    log = StreamLog(Clock())
    caplog.set_level(logging.WARNING, "tickwire.stream")
    for _ in range(100):
        log.refused("api.unauthorized", "", "192.0.2.9")
    assert not caplog.records
    caplog.set_level(logging.INFO, "tickwire.stream")
    log.refused("api.unauthorized", "", "192.0.2.9")
    assert fields(caplog) == [{"code": "api.unauthorized", "address": "192.0.2.9"}]
