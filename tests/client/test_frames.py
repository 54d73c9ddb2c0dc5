import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.client.frames import BookRow, FrameError, TickerRow, decoder, read_message, unknown
from tickwire.client.replies import Candle
from tickwire.wire import rows
from tickwire.wire.envelope import data_frame

TS = 1765975842095607088
BALANCE = rows.Balance("USDT", "100", "90", "80")


def frame(*changed: object, **more: object) -> bytes:
    data = [{"actionType": "UPDATE", "rows": changed, **more}]
    return msgspec.json.encode({"topic": "t", "ts": str(TS), "data": data, **more})


def test_rows_as_documented() -> None:
    read = decoder(rows.Balance)(data_frame("account.balance", TS, "SNAPSHOT", [BALANCE]))
    assert read.ts == str(TS)
    (change,) = read.data
    assert change.action_type == "SNAPSHOT"
    assert change.rows == [BALANCE]
    assert change.rows[0] == BALANCE
    assert isinstance(change.rows[0], rows.Balance)
    assert change.rows[0] != rows.Balance("USDT", "100", "90", "81")
    assert unknown(change.rows[0]) == {}


def test_what_is_left_out_of_a_ticker() -> None:
    (row,) = decoder(TickerRow)(frame({"symbol": "X", "bidPrice": "1", "askPrice": None})).data[0].rows
    assert isinstance(row, rows.Ticker)
    assert (row.bid_price, row.ask_price, row.last_price) == ("1", None, msgspec.UNSET)


def test_fields_and_values_that_are_new_are_kept() -> None:
    (row,) = decoder(rows.Balance)(frame({**msgspec.to_builtins(BALANCE), "frozen": "7", "tags": [1]})).data[0].rows
    assert row == BALANCE
    assert unknown(row) == {"frozen": "7", "tags": [1]}
    position: dict[str, Any] = {"symbol": "X", "slot": 0, "leverage": 3, "marginType": "PORTFOLIO"}
    position |= {"buyableBoosts": [], "boostRemainingCount": 0}
    (row,) = decoder(rows.Position)(frame(position)).data[0].rows
    assert (row.margin_type, row.entry_price) == ("PORTFOLIO", None)
    (row,) = decoder(TickerRow)(frame({"symbol": "X", "bidPrice": "1", "mood": "good"})).data[0].rows
    assert (row.bid_price, row.ask_price, unknown(row)) == ("1", msgspec.UNSET, {"mood": "good"})
    (row,) = decoder(BookRow)(frame({"symbol": "X", "bids": [["1", "2"]], "seq": 4, "checksum": 5})).data[0].rows
    assert (row.bids, row.asks, row.seq, unknown(row)) == ([("1", "2")], [], 4, {"checksum": 5})


def test_a_candle_may_have_grown() -> None:
    (row,) = decoder(Candle)(frame(["1", "2", "3", "4", "5", "6", "7", "8"])).data[0].rows
    assert row == Candle("1", "2", "3", "4", "5", "6", "7")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'"topic"',
        b'{"topic":"t","ts":5,"data":[]}',
        b'{"topic":"t","ts":"5"}',
        b'{"topic":"t","ts":"5","data":[{"actionType":"UPDATE","rows":[5]}]}',
        b'{"topic":"t","ts":"5","data":[{"actionType":"UPDATE","rows":[{"asset":5}]}]}',
        b'{"topic":"t","ts":"5","data":[{"actionType":"UPDATE","rows":{}}]}',
        b"[" * 10_000,
        b'{"a":' * 10_000,
    ],
)
def test_what_is_no_frame(data: bytes) -> None:
    with pytest.raises(FrameError, match="expected a frame of the contract: "):
        decoder(rows.Balance)(data)


def test_replies() -> None:
    message = read_message(b'{"success":false,"op":"subscribe","args":["x"],"error":"InvalidTopic","message":"no"}')
    assert (message.success, message.args, message.error, message.topic) == (False, ["x"], "InvalidTopic", "")
    assert read_message(b'{"ts":"1","topic":"t","data":[]}').topic == "t"
    with pytest.raises(FrameError):
        read_message(b"pong!")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    json_values, st.sampled_from([TickerRow, BookRow, Candle, rows.Balance, rows.Position, rows.Order, rows.Execution])
)
def test_any_row_is_read_or_refused(value: Any, kind: Any) -> None:
    data = json.dumps({"topic": "t", "ts": "1", "data": [{"actionType": "UPDATE", "rows": [value]}]}).encode()
    try:
        (row,) = decoder(kind)(data).data[0].rows
    except FrameError:
        return
    assert isinstance(row, kind)
