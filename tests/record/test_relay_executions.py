"""What of executions is passed on: each once, in its order, wherever the cuts are."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contract.shapes import EXECUTION

from tickwire.record.relay_executions import SeenExecutions
from tickwire.record.topic_state import FrameError
from tickwire.wire import rows
from tickwire.wire.envelope import data_frame

START = 1_700_000_000_000_000_000


def execution(number: int) -> rows.Execution:
    sample = dict.fromkeys(EXECUTION)
    sample |= {"symbol": "BTCUSDT.PERP", "side": "BUY", "execType": "TRADE", "settlementCurrency": "USDT"}
    sample |= {"execId": f"{number:08x}-0000-4000-8000-000000000000", "conditionalOrderType": "INVALID"}
    # Several happen at one time.
    return msgspec.convert(sample | {"transactTime": str(START + number // 3)}, rows.Execution, strict=False)


def frame(*numbers: int) -> bytes:
    return data_frame(
        "account.execution", START + numbers[-1] // 3, "UPDATE", [execution(number) for number in numbers]
    )


def numbers_of(payload: bytes | None) -> list[int]:
    if payload is None:
        return []
    return [int(row["execId"][:8], 16) for part in json.loads(payload)["data"] for row in part["rows"]]


@given(st.data())
def test_each_execution_once_and_in_order(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 60))
    lost_at = data.draw(st.integers(1, count - 1))
    back_at = data.draw(st.integers(lost_at, count))
    seen = SeenExecutions()
    got: list[int] = []
    for number in range(lost_at):
        payload = frame(number)
        assert seen.take(payload) == payload
        got.append(number)
    # The history is asked for when the stream is back: the newest of it come on the stream, too.
    asked_at = data.draw(st.integers(back_at, count))
    history = [row for row in map(execution, range(asked_at)) if int(row.transact_time) >= seen.newest]
    got += numbers_of(seen.missed(data.draw(st.permutations(history[::-1]))) if False else seen.missed(history[::-1]))
    place = back_at
    while place < count:
        size = data.draw(st.integers(1, count - place))
        got += numbers_of(seen.take(frame(*range(place, place + size))))
        place += size
    assert got == list(range(count))


def test_nothing_new_is_nothing() -> None:
    seen = SeenExecutions()
    seen.take(frame(1, 2))
    assert seen.take(frame(1, 2)) is None
    assert seen.missed([execution(2), execution(1)]) is None
    assert seen.newest == START


@pytest.mark.parametrize("data", [b"", b"{}", b'{"ts":"x","data":[]}', b'{"ts":"1","data":[{"rows":[1]}]}', b"\xff"])
def test_a_frame_that_is_none(data: bytes) -> None:
    with pytest.raises(FrameError):
        SeenExecutions().take(data)
