"""The bus within one process, with a real engine behind it."""

from collections.abc import Callable
from importlib import resources

import msgspec
import pytest

from tickwire.bus.local import LocalFeed
from tickwire.exchange.commands import CreateAccount, Deposit
from tickwire.exchange.engine import Engine
from tickwire.exchange.instruments import MONEY_UNIT, load_instruments
from tickwire.exchange.projection import Projector
from tickwire.wire.topics import TopicKey, parse_topic

PRIVATE = [
    "account", "account.margin", "account.balance", "account.position", "account.order", "account.execution",
]  # fmt: skip


class Bench:
    """A feed whose commits are the test's."""

    def __init__(self) -> None:
        text = (resources.files("tickwire.exchange") / "instruments.toml").read_text("utf-8")
        self.engine = Engine(load_instruments(text))
        self.projector = Projector(self.engine)
        self.waiting: list[Callable[[], None]] = []
        self.feed = LocalFeed(self.projector, self.waiting.append)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def key(name: str) -> TopicKey:
    return TopicKey.of(parse_topic(name), "alice")


@pytest.mark.parametrize("name", PRIVATE)
def test_an_account_that_is_not_open_is_refused(bench: Bench, name: str) -> None:
    refusal = bench.feed.refusal(key(name))
    assert refusal is not None
    assert (refusal.code, refusal.status) == ("AccountNotFound", 400)
    bench.engine.apply(1, CreateAccount("alice"))
    assert bench.feed.refusal(key(name)) is None


def test_an_unknown_symbol_is_refused(bench: Bench) -> None:
    assert bench.feed.refusal(key("ticker.BTCUSDT.PERP")) is None
    refusal = bench.feed.refusal(key("ticker.NOSUCH"))
    assert refusal is not None
    assert (refusal.code, refusal.message) == ("InvalidSymbol", "no symbol 'NOSUCH'")


def test_a_snapshot_waits_for_what_led_to_it_and_is_followed_by_what_follows(bench: Bench) -> None:
    bench.engine.apply(1, CreateAccount("alice"))
    heard: list[bytes] = []
    bench.feed.listen(lambda _, payload: heard.append(payload))
    bench.feed.join([key("account.balance")], heard.extend)
    assert heard == []
    frames = bench.projector.project(bench.engine.apply(2, Deposit("alice", "USDT", 5 * MONEY_UNIT)))
    bench.waiting.pop()()
    bench.feed.publish(frames)
    messages = [msgspec.json.decode(payload) for payload in heard]
    assert [message["data"][0]["actionType"] for message in messages] == ["SNAPSHOT", "UPDATE"]
    assert messages[1]["data"][0]["rows"][0]["balance"] == "5"
    bench.feed.leave(key("account.balance"))
    assert bench.projector.project(bench.engine.apply(3, Deposit("alice", "USDT", MONEY_UNIT))) == []
