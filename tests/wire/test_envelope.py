import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.wire import rows
from tickwire.wire.envelope import (
    Operation,
    Position,
    configured_reply,
    data_frame,
    decode_operation,
    failure_reply,
    pong_reply,
    success_reply,
    with_position,
    with_resumed,
)
from tickwire.wire.errors import ApiError

CONFLATE = "conflate_ms: expected an integer from 0 (off) to 60000"


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
        ('{"op":"configure","conflate_ms":0}', Operation("configure", conflate_ms=0)),
        ('{"op":"configure","conflate_ms":60000,"id":1}', Operation("configure", id=1, conflate_ms=60_000)),
        ('{"op":"configure","resume":false}', Operation("configure", resumable=False)),
        (
            '{"op":"configure","resume":true,"conflate_ms":250,"args":["x"]}',
            Operation("configure", conflate_ms=250, resumable=True),
        ),
        ('{"op":"configure","resume":null,"conflate_ms":1}', Operation("configure", conflate_ms=1)),
        ('{"op":"subscribe","args":["a"],"resume":null}', Operation("subscribe", ("a",))),
        (
            '{"op":"subscribe","args":["a","b"],"resume":{"b":{"epoch":"e.1","offset":0,"more":1}}}',
            Operation("subscribe", ("a", "b"), resume={"b": Position("e.1", 0)}),
        ),
        # To the other operations these are unknown fields.
        ('{"op":"subscribe","args":["a"],"conflate_ms":"x"}', Operation("subscribe", ("a",))),
        ('{"op":"unsubscribe","args":["a"],"resume":5}', Operation("unsubscribe", ("a",))),
        ('{"op":"ping","resume":5,"conflate_ms":true}', Operation("ping")),
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
        ('{"op":"configure"}', "InvalidParameter", "frame: expected conflate_ms, resume or both, got neither"),
        ('{"op":"configure","conflate_ms":-1}', "InvalidParameter", f"{CONFLATE}, got -1"),
        ('{"op":"configure","conflate_ms":60001}', "InvalidParameter", f"{CONFLATE}, got 60001"),
        ('{"op":"configure","conflate_ms":1e2}', "InvalidParameter", f"{CONFLATE}, got 100.0"),
        ('{"op":"configure","conflate_ms":true}', "InvalidParameter", f"{CONFLATE}, got true"),
        ('{"op":"configure","conflate_ms":"250"}', "InvalidParameter", f'{CONFLATE}, got "250"'),
        ('{"op":"configure","conflate_ms":1' + "0" * 400 + "}", "InvalidParameter", f"{CONFLATE}, got 1000"),
        ('{"op":"configure","resume":{}}', "InvalidParameter", "resume: expected true or false, got {}"),
        ('{"op":"configure","resume":0}', "InvalidParameter", "resume: expected true or false, got 0"),
        (
            '{"op":"subscribe","args":["a"],"resume":true}',
            "InvalidParameter",
            "resume: expected an object of positions by topic, got true",
        ),
        (
            '{"op":"subscribe","args":["a"],"resume":{"b":1}}',
            "InvalidParameter",
            "resume: expected topics of args, got 'b'",
        ),
        (
            '{"op":"subscribe","args":["a"],"resume":{"a":1}}',
            "InvalidParameter",
            "resume of a: position: expected object, got int",
        ),
        (
            '{"op":"subscribe","args":["a"],"resume":{"a":{"epoch":"e"}}}',
            "InvalidParameter",
            "resume of a: offset: expected a value, got nothing",
        ),
        (
            '{"op":"subscribe","args":["a"],"resume":{"a":{"epoch":1,"offset":1}}}',
            "InvalidParameter",
            "resume of a: epoch: expected str, got int",
        ),
        (
            '{"op":"subscribe","args":["a"],"resume":{"a":{"epoch":"' + "e" * 65 + '","offset":1}}}',
            "InvalidParameter",
            "resume of a: epoch: expected str of length <= 64",
        ),
        (
            '{"op":"subscribe","args":["a"],"resume":{"a":{"epoch":"e","offset":-1}}}',
            "InvalidParameter",
            "resume of a: offset: expected int >= 0",
        ),
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


def test_what_configure_is_answered_with() -> None:
    assert configured_reply(250, True, None) == b'{"success":true,"op":"configure","conflate_ms":250,"resume":true}'
    assert configured_reply(0, False, "x").endswith(b'"resume":false,"id":"x"}')


def test_a_reply_says_what_is_resumed() -> None:
    reply = with_resumed(success_reply("subscribe", ["a", "b"], 7), {"a": True, "b": False})
    assert json.loads(reply) == {
        "success": True, "op": "subscribe", "args": ["a", "b"], "id": 7, "resumed": {"a": True, "b": False},
    }  # fmt: skip


def test_a_position_is_the_last_two_keys() -> None:
    frame = data_frame("account", 5, "UPDATE", ())
    assert with_position(frame, Position("e.1", 12)) == frame[:-1] + b',"epoch":"e.1","offset":12}'
