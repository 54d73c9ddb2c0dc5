from typing import Any

import msgspec
from jsonschema import Draft7Validator
from tests.rest.support import PERPETUAL, DirectGateway

from tickwire.exchange.commands import PlaceOrder, SetLeverage
from tickwire.exchange.projection import Projector
from tickwire.rest.asyncapi import asyncapi_document
from tickwire.rest.endpoint import encode
from tickwire.wire.closes import CLOSES
from tickwire.wire.envelope import (
    Position,
    configured_reply,
    decode_operation,
    failure_reply,
    pong_reply,
    success_reply,
    with_position,
    with_resumed,
)
from tickwire.wire.errors import ApiError
from tickwire.wire.intervals import INTERVALS
from tickwire.wire.topics import TopicKey, TopicKind, parse_topic

DOCUMENT: dict[str, Any] = msgspec.json.decode(encode(asyncapi_document()))
MESSAGES: dict[str, Any] = DOCUMENT["components"]["messages"]


def validate(message: str, payload: Any) -> None:
    Draft7Validator({**MESSAGES[message]["payload"], "components": DOCUMENT["components"]}).validate(payload)


def resolve(reference: str) -> Any:
    assert reference.startswith("#/")
    part: Any = DOCUMENT
    for name in reference[2:].split("/"):
        part = part[name]
    return part


def test_the_root_is_that_of_asyncapi_3() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert DOCUMENT.keys() - {"info", "servers", "channels", "operations", "components", "defaultContentType"} == {
        "asyncapi",
        "x-close-codes",
        "x-reply-errors",
        "x-handshake-errors",
    }
    assert {"title", "version"} <= DOCUMENT["info"].keys()
    for server in DOCUMENT["servers"].values():
        assert {"host", "protocol"} <= server.keys()
        for name in server["variables"]:
            assert f"{{{name}}}" in server["host"]
    for channel in DOCUMENT["channels"].values():
        assert channel["address"] == "/api/v1/stream"


def test_every_reference_leads_somewhere() -> None:
    references: list[str] = []

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            if isinstance(part.get("$ref"), str):
                references.append(part["$ref"])
            for inner in part.values():
                walk(inner)
        elif isinstance(part, list):
            for inner in part:
                walk(inner)

    walk(DOCUMENT)
    assert references
    for reference in references:
        resolve(reference)
    used = {reference.rpartition("/")[2] for reference in references if "/schemas/" in reference}
    assert used == DOCUMENT["components"]["schemas"].keys()


def test_operations_name_messages_of_their_channel() -> None:
    for operation in DOCUMENT["operations"].values():
        assert operation["action"] in ("send", "receive")
        assert operation["channel"] == {"$ref": "#/channels/stream"}
        messages = operation["messages"] + operation.get("reply", {}).get("messages", [])
        for message in messages:
            # AsyncAPI 3 wants the channel's message here, not the component behind it.
            assert message["$ref"].startswith("#/channels/stream/messages/")
    sent = {name for name, operation in DOCUMENT["operations"].items() if operation["action"] == "send"}
    assert sent == {f"push-{kind.value.replace('.', '-')}" for kind in TopicKind}


def test_every_example_is_what_its_schema_says() -> None:
    for name, message in MESSAGES.items():
        Draft7Validator.check_schema(message["payload"])
        assert message["examples"]
        for example in message["examples"]:
            validate(name, example["payload"])


def test_operations_of_the_examples_are_taken() -> None:
    for name in ("subscribe", "unsubscribe", "configure", "ping"):
        (example,) = MESSAGES[name]["examples"]
        operation = decode_operation(msgspec.json.encode(example["payload"]))
        assert (operation.op, operation.id) == (name, 7)
        for topic in operation.args:
            parse_topic(topic)


def test_replies_are_what_the_document_says() -> None:
    decode = msgspec.json.decode
    validate("success", decode(success_reply("subscribe", ["account"], 7)))
    validate("success", decode(success_reply("unsubscribe", [], None)))
    validate("success", decode(with_resumed(success_reply("subscribe", ["account"], 7), {"account": False})))
    validate("configured", decode(configured_reply(250, False, None)))
    validate("failure", decode(failure_reply("subscribe", ["nope"], ApiError("InvalidTopic", "x"), "id")))
    validate("failure", decode(failure_reply(None, None, ApiError("InvalidJson"), None)))
    validate("pong", decode(pong_reply(1_765_975_842_000_000_000, None)))


def test_every_frame_of_the_exchange_is_what_the_document_says(gateway: DirectGateway) -> None:
    names = [
        *(f"{kind}.{PERPETUAL}" for kind in ("ticker", "orderbook", "orderbook.delta")),
        *(f"kline.{interval}.{PERPETUAL}" for interval in INTERVALS),
        *(kind.value for kind in TopicKind if kind.value.startswith("account")),
    ]
    projector = Projector(gateway.engine)
    frames: list[tuple[TopicKey, bytes]] = []
    for name in names:
        key = TopicKey.of(parse_topic(name), "alice")
        frames.append((key, projector.watch(key)))
    for command in (
        SetLeverage("alice", PERPETUAL, 20, isolated=False),
        PlaceOrder("alice", PERPETUAL, 1, 1, quantity=1000, price=740_000),
        PlaceOrder("alice", PERPETUAL, 1, 2, quantity=1000),
        PlaceOrder("alice", PERPETUAL, -1, 3, quantity=1000, trigger_price=740_000),
        PlaceOrder("alice", PERPETUAL, -1, 2, quantity=1000),
    ):
        gateway.time += 10**9
        events = gateway.apply(command)
        assert events.error is None
        frames += projector.project(events)
    seen = set()
    for key, frame in frames:
        payload = msgspec.json.decode(frame)
        validate(key.topic.kind.value, payload)
        validate(key.topic.kind.value, msgspec.json.decode(with_position(frame, Position("epoch.1", 7))))
        seen.add((key.topic.kind, payload["data"][0]["actionType"]))
    updated = set(TopicKind) - {TopicKind.ORDERBOOK}
    assert seen == {(kind, "SNAPSHOT") for kind in TopicKind} | {(kind, "UPDATE") for kind in updated}


def test_a_frame_of_another_form_is_not() -> None:
    (example,) = MESSAGES["ticker"]["examples"]
    payload = example["payload"]
    validator = Draft7Validator({**MESSAGES["ticker"]["payload"], "components": DOCUMENT["components"]})
    assert validator.is_valid(payload)
    row = payload["data"][0]["rows"][0]
    for broken in (
        {**payload, "topic": "ticker."},
        {**payload, "ts": 1765975842095607088},
        {**payload, "data": [{"actionType": "DELTA", "rows": [row]}]},
        {**payload, "data": [{"actionType": "SNAPSHOT", "rows": [row]}]},  # a whole row is wanted there
        {**payload, "data": [{"actionType": "UPDATE", "rows": [{"bidPrice": "1"}]}]},
        {**payload, "data": [{"actionType": "UPDATE", "rows": [{**row, "bidPrice": 1}]}]},
    ):
        assert not validator.is_valid(broken)


def test_all_close_codes_are_listed() -> None:
    assert [close["name"] for close in DOCUMENT["x-close-codes"]] == list(CLOSES)
