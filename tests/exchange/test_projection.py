"""The order of what one command pushes to a trader: a client may rely on it."""

import json
from itertools import permutations
from typing import Any

import pytest
from tests.exchange.world import BTC, ETH, SPOT, World

from tickwire.exchange.commands import Command
from tickwire.exchange.events import Events
from tickwire.exchange.projection import Projector
from tickwire.wire.topics import TopicKey, parse_topic

STATE = ["account.position", "account.balance", "account.margin", "account"]
EVENT = ["account.order", "account.execution"]


class Watched(World):
    """A world in which one trader watches all of its account; ``pushed`` is what each command brought, if anything."""

    pushed: list[list[tuple[str, Any]]]
    projector: Projector | None = None

    def watch(self, account: str, topics: list[str]) -> None:
        self.pushed = []
        self.projector = Projector(self.engine)
        for topic in topics:
            self.projector.watch(TopicKey.of(parse_topic(topic), account))

    def apply(self, command: Command) -> Events:
        events = super().apply(command)
        if self.projector is not None:
            frames = self.projector.project(events)
            if frames:
                self.pushed.append([(key.topic.name, json.loads(payload)) for key, payload in frames])
        return events

    def liquidation(self) -> list[tuple[str, Any]]:
        """The frames of the one command that took a position over."""
        [found] = [
            frames
            for frames in self.pushed
            if any(topic == "account.execution" and row(frame)["execType"] == "TRADE" for topic, frame in frames)
        ]
        return found


def row(frame: Any) -> dict[str, Any]:
    [part] = frame["data"]
    assert part["actionType"] == "UPDATE"
    found: dict[str, Any] = part["rows"][0]
    return found


def traders(isolated: bool) -> Watched:
    world = Watched("anna", "boris")
    world.open("house seller", "1000000000", house=True)
    world.mark("30000")
    world.mark("2000", ETH)
    world.leverage("anna", 10, isolated)
    world.leverage("anna", 10, isolated, ETH)
    world.trade("30000", "1", "anna", "boris")
    return world


# What was subscribed first makes no difference.
@pytest.mark.parametrize("topics", [EVENT + STATE, STATE[::-1] + EVENT[::-1]], ids=["as pushed", "backwards"])
def test_an_isolated_liquidation_cancels_then_takes_over_then_shows_the_account(topics: list[str]) -> None:
    world = traders(isolated=True)
    far = world.buy("anna", "0.1", "20000")
    stop = world.sell("anna", "1", trigger="20000", reduce_only=True)
    world.watch("anna", topics)
    world.mark("27000")
    frames = world.liquidation()
    assert [topic for topic, _ in frames] == EVENT * 3 + STATE
    assert {frame["ts"] for _, frame in frames} == {frames[0][1]["ts"]}
    orders = [row(frame) for topic, frame in frames if topic == "account.order"]
    executions = [row(frame) for topic, frame in frames if topic == "account.execution"]
    # The symbol's orders in the order in which they were placed, then the one that takes the position over.
    assert [order["orderId"] for order in orders] == [far.uuid, stop.uuid, orders[2]["orderId"]]
    assert [order["status"] for order in orders] == ["CANCELED", "CANCELED", "FILLED"]
    assert [entry["orderId"] for entry in executions] == [order["orderId"] for order in orders]
    assert [entry["execType"] for entry in executions] == ["CANCELED", "CANCELED", "TRADE"]
    # Each state row is that after all of it.
    state = {topic: row(frame) for topic, frame in frames if topic in STATE}
    assert (state["account.position"]["symbol"], state["account.position"]["positionSide"]) == (BTC, None)
    assert state["account.balance"]["balance"] == state["account"]["totalWalletBalance"] == world.wallet("anna")
    assert state["account.margin"]["reservedForIsolatedMarginPosition"] == "0"


def test_a_cross_liquidation_shows_every_order_and_position_in_one_command() -> None:
    world = traders(isolated=False)
    world.trade("2000", "1", "anna", "boris", ETH)
    elsewhere = world.buy("anna", "1", "1000", ETH)
    spot = world.buy("anna", "0.01", "20000", SPOT)
    free = world.free("anna")
    world.deposit("anna", f"-{free}")
    world.watch("anna", EVENT + STATE)
    world.mark("24000")
    frames = world.liquidation()
    assert [topic for topic, _ in frames] == EVENT * 4 + STATE
    orders = [row(frame) for topic, frame in frames if topic == "account.order"]
    assert [order["orderId"] for order in orders[:2]] == [elsewhere.uuid, spot.uuid]
    assert [(order["symbol"], order["status"]) for order in orders[2:]] == [(BTC, "FILLED"), (ETH, "FILLED")]
    # One frame for both positions, in the order in which they were opened.
    [positions] = [frame["data"][0]["rows"] for topic, frame in frames if topic == "account.position"]
    assert [(position["symbol"], position["positionSide"]) for position in positions] == [(BTC, None), (ETH, None)]


@pytest.mark.parametrize("watched", list(permutations(STATE, 2)), ids="-".join)
def test_who_watches_some_of_it_gets_that_in_the_same_order(watched: tuple[str, str]) -> None:
    world = traders(isolated=True)
    world.watch("anna", [*watched, "account.execution"])
    world.mark("27000")
    assert [topic for topic, _ in world.liquidation()] == [
        "account.execution",
        *sorted(watched, key=STATE.index),
    ]
