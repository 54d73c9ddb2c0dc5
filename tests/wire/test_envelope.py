import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.wire import rows
from tickwire.wire.envelope import (
    Operation,
    data_frame,
    decode_operation,
    failure_reply,
    pong_reply,
    success_reply,
)
from tickwire.wire.errors import ApiError


@pytest.mark.parametrize(
    ("text", "operation"),
    [
        ('{"op":"subscribe","args":["a","b"]}', Operation("subscribe", ("a", "b"))),
        ('{"op":"unsubscribe","args":[]}', Operation("unsubscribe", ())),
        ('{"op":"ping"}', Operation("ping")),
        ('{"op":"ping","args":["ignored"],"id":7}', Operation("ping", (), 7)),
        ('{"op":"subscribe","args":["a"],"id":"x","more":1}', Operation("subscribe", ("a",), "x")),
        ('{"op":"ping","id":null}', Operation("ping")),
        (b' {"op":"ping"} ', Operation("ping")),
    ],
)
def test_operations(text: str | bytes, operation: Operation) -> None:
    assert decode_operation(text) == operation


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("", "InvalidJson", "expected a JSON object"),
        ("{", "InvalidJson", "expected a JSON object"),
        (b'{"op":"\xff"}', "InvalidJson", "expected a JSON object"),
        ("[" * 100_000, "InvalidParameter", "frame: expected object"),
        ("[]", "InvalidParameter", "frame: expected object, got array"),
        ("{}", "InvalidParameter", "op: expected a value, got nothing"),
        ('{"op":1}', "InvalidParameter", "op: expected str, got int"),
        (
            '{"op":"Subscribe"}',
            "InvalidOperation",
            "op: expected subscribe, unsubscribe, configure or ping, got 'Subscribe'",
        ),
        ('{"op":"subscribe"}', "InvalidParameter", "args: expected a list of topics, got nothing"),
        ('{"op":"subscribe","args":"a"}', "InvalidParameter", "args: expected array, got str"),
        ('{"op":"subscribe","args":[1]}', "InvalidParameter", "args[0]: expected str, got int"),
        ('{"op":"subscribe","args":null}', "InvalidParameter", "args: expected array, got null"),
        ('{"op":"ping","id":1.5}', "InvalidParameter", "id: expected int | str | null, got float"),
        ('{"op":"ping","id":true}', "InvalidParameter", "id: expected int | str | null, got bool"),
        ('{"op":"ping","id":"' + "x" * 129 + '"}', "InvalidParameter", "id: expected at most 128 characters, got 129"),
    ],
)
def test_refusals(text: str | bytes, code: str, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        decode_operation(text)
    assert caught.value.code == code
    assert caught.value.message.startswith(message)


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_no_frame_raises_anything_else(text: bytes | str) -> None:
    message = ""
    try:
        decode_operation(text)
    except ApiError as error:
        message = error.message
    assert len(message) < 400


def test_replies() -> None:
    assert success_reply("subscribe", ["a"], None) == b'{"success":true,"op":"subscribe","args":["a"]}'
    assert success_reply("unsubscribe", [], 3) == b'{"success":true,"op":"unsubscribe","args":[],"id":3}'
    error = ApiError("InvalidTopic", "no such topic")
    assert json.loads(failure_reply("subscribe", ["x"], error, "id")) == {
        "success": False,
        "op": "subscribe",
        "args": ["x"],
        "error": "InvalidTopic",
        "message": "no such topic",
        "id": "id",
    }
    assert json.loads(failure_reply(None, None, error, None)) == {
        "success": False,
        "error": "InvalidTopic",
        "message": "no such topic",
    }
    assert pong_reply(1_765_975_842_095_607_088, None) == b'{"op":"pong","ts":"1765975842095607088"}'
    assert json.loads(pong_reply(1, "a"))["id"] == "a"


def test_no_reply_looks_like_data() -> None:
    error = ApiError("InvalidTopic")
    for reply in (
        success_reply("subscribe", ["data"], 1),
        failure_reply("subscribe", ["topic"], error, 1),
        failure_reply(None, None, error, None),
        pong_reply(1, 1),
    ):
        assert not {"topic", "data"} & set(json.loads(reply))


def test_a_data_frame() -> None:
    row = rows.Orderbook("BTCUSDT", [("1.0", "2")], [])
    assert data_frame("orderbook.BTCUSDT", 1_765_975_842_095_607_088, "SNAPSHOT", (row,)) == (
        b'{"topic":"orderbook.BTCUSDT","ts":"1765975842095607088","data":[{"actionType":"SNAPSHOT","rows":'
        b'[{"symbol":"BTCUSDT","bids":[["1.0","2"]],"asks":[]}]}]}'
    )
