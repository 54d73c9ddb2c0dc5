"""Operations nobody would think of, over a real socket: each is answered, and the socket stays usable."""

import json
import string
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.contract import shapes
from tests.contract.support import Server, Stream

SETTINGS = settings(
    max_examples=250, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)

SYMBOLS = st.sampled_from(["BTCUSDT.PERP", "ETHUSDT", "NOSUCH.PERP", "", "btcusdt", "BTCUSDT.PERP.", "..", "*"])
TOPICS = st.one_of(
    st.builds(
        "{}.{}".format,
        st.sampled_from(["ticker", "orderbook", "orderbook.delta", "kline.1", "kline.7", "kline", "account", ""]),
        SYMBOLS,
    ),
    st.sampled_from([
        "account", "account.margin", "account.balance", "account.position", "account.order", "account.execution",
    ]),
    st.text(max_size=30),
    st.text(string.ascii_letters + ".0123456789", max_size=40),
)  # fmt: skip
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
OPERATIONS = st.fixed_dictionaries(
    {},
    optional={
        "op": st.sampled_from(["subscribe", "unsubscribe", "configure", "ping", "SUBSCRIBE", ""]) | ANYTHING,
        "args": st.lists(TOPICS, max_size=60) | ANYTHING,
        "id": st.text(max_size=140) | st.integers() | ANYTHING,
        "topic": ANYTHING,
        "conflate_ms": st.sampled_from([0, 250, 60_000, 60_001, "0", True]) | ANYTHING,
        "resume": st.booleans()
        | st.dictionaries(TOPICS, st.just({"epoch": "e", "offset": 1}) | ANYTHING, max_size=3)
        | ANYTHING,
    },
)


@pytest.fixture(scope="module")
def stream(quiet: Server) -> Iterator[Stream]:
    with quiet.demo.stream() as stream:
        yield stream


def check_reply(reply: dict[str, Any]) -> None:
    """A reply is one of those that there are, and tells a client that it is no data."""
    assert "topic" not in reply
    assert "data" not in reply
    if reply.get("op") == "pong" and "success" not in reply:
        assert set(reply) - {"id"} == {"op", "ts"}
    elif reply["success"] is True and reply["op"] == "configure":
        assert set(reply) - {"id"} == {"success", "op", "conflate_ms", "resume"}
    elif reply["success"] is True:
        assert set(reply) - {"id", "resumed"} == {"success", "op", "args"}
        assert set(reply.get("resumed", {})) <= set(reply["args"])
    else:
        assert set(reply) - {"id", "op", "args"} == {"success", "error", "message"}
        assert reply["error"]
        assert reply["message"]


def answered(stream: Stream, frame: str | bytes) -> None:
    stream.connection.send(frame)
    stream.send(op="ping", id="still here")
    found = stream.barrier()
    pongs = [message for message in found if message.get("id") == "still here" and message.get("op") == "pong"]
    assert len(pongs) >= 1
    found.remove(pongs[0])
    assert found, "no answer at all"
    for message in found:
        if "topic" in message:
            assert set(message) - {"epoch", "offset"} == {"topic", "ts", "data"}
            assert shapes.timestamp(message["ts"])
            assert [part["actionType"] for part in message["data"]] == ["SNAPSHOT"]
        else:
            check_reply(message)


@SETTINGS
@given(operation=OPERATIONS)
@example(operation={"op": "subscribe", "args": ["ticker.BTCUSDT.PERP"] * 60})
@example(operation={"op": "ping", "id": -(2**63)})
@example(operation={"op": "ping", "id": 2**63})
def test_operations(stream: Stream, operation: dict[str, Any]) -> None:
    answered(stream, json.dumps(operation))


@SETTINGS
@given(value=ANYTHING)
def test_json_that_is_no_operation(stream: Stream, value: Any) -> None:
    answered(stream, json.dumps(value))


# "ping" alone has an answer of its own, which is no JSON.
@SETTINGS
@given(text=st.text(max_size=200).filter(lambda text: text != "ping"))
def test_texts(stream: Stream, text: str) -> None:
    answered(stream, text)


@SETTINGS
@given(operation=OPERATIONS, at=st.integers(0, 200), junk=st.text(max_size=5))
def test_broken_operations(stream: Stream, operation: dict[str, Any], at: int, junk: str) -> None:
    whole = json.dumps(operation)
    answered(stream, whole[:at] + junk + whole[at + len(junk) :] + " ")


@SETTINGS
@given(data=st.binary(max_size=200))
def test_bytes(stream: Stream, data: bytes) -> None:
    answered(stream, data)
