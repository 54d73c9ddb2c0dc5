"""`tickwire relay`: readers of a relay see what readers of its upstream see, over a bad link too."""

import json
import random
import signal
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.contract.support import PERPETUAL, Account, Server, Stream, tickwire, until
from tests.record.lossy_link import LossyLink
from tests.record.support import Fold, Relay, message

TICKER = f"ticker.{PERPETUAL}"
DELTA = f"orderbook.delta.{PERPETUAL}"
BOOK = f"orderbook.{PERPETUAL}"


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An upstream with a market."""
    home = tmp_path_factory.mktemp("market")
    with Server(home / "data", "--symbols", f"{PERPETUAL},BTCUSDT", "--no-limits") as server:
        yield server


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An upstream where nothing happens but what the test does."""
    home = tmp_path_factory.mktemp("quiet")
    with Server(home / "data", "--symbols", PERPETUAL, "--no-market", "--no-limits") as server:
        yield server


@pytest.fixture(scope="module")
def relay(market: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    """A relay of the market."""
    with Relay(market.demo, "--linger", "0.2", home=tmp_path_factory.mktemp("relay")) as relay:
        yield relay


def test_frames_are_passed_on_byte_for_byte(market: Server, relay: Relay) -> None:
    topics = [TICKER, DELTA, BOOK, f"kline.1.{PERPETUAL}"]
    with relay.demo.stream() as near, market.demo.stream() as far:
        near.send(*topics, op="subscribe")
        assert near.receive() == {"success": True, "op": "subscribe", "args": topics}
        first = [json.loads(message(near)) for _ in topics]
        assert [frame["topic"] for frame in first] == topics
        assert {frame["data"][0]["actionType"] for frame in first} == {"SNAPSHOT"}
        far.subscribe(*topics)
        sent = [message(far) for _ in range(60)]
        passed_on: list[bytes] = []
        while sent[-1] not in passed_on:
            passed_on.append(message(near))
        assert passed_on[passed_on.index(sent[0]) :] == sent


def test_who_comes_later_begins_with_the_newest_state(market: Server, relay: Relay) -> None:
    topics = [TICKER, DELTA]
    with relay.demo.stream() as first, relay.demo.stream() as second:
        first.send(*topics, op="subscribe")
        assert first.receive()["success"]
        before = [message(first) for _ in range(60)]
        # Subscribed already: the state is there, and comes right behind the reply.
        second.subscribe(*topics)
        after = [message(second) for _ in range(20)]
        while after[-1] not in before:
            before.append(message(first))
        one, two = Fold(), Fold()
        for frame in before[: before.index(after[-1]) + 1]:
            one.apply(frame)
        for frame in [json.dumps(second.snapshots[topic]).encode() for topic in topics] + after:
            two.apply(frame)
        assert two.state == one.state


def test_upstream_subscriptions_follow_demand(relay: Relay) -> None:
    until(lambda: relay.health()["upstreamTopics"] == 0)
    with relay.demo.stream() as one, relay.demo.stream() as two:
        for stream in (one, two):
            stream.send(TICKER, BOOK, op="subscribe")
            assert stream.receive()["success"]
        until(lambda: relay.health()["upstreamTopics"] == 2)
        one.send(TICKER, BOOK, op="unsubscribe")
        two.send(BOOK, op="unsubscribe")
        until(lambda: relay.health()["upstreamTopics"] == 1)
    until(lambda: relay.health()["upstreamTopics"] == 0)
    assert relay.health()["upstreamSockets"] == 1


def test_readers_have_a_pace_of_their_own(relay: Relay) -> None:
    with relay.demo.stream() as slow, relay.demo.stream() as fast:
        slow.send(op="configure", conflate_ms=500)
        assert slow.receive() == {"success": True, "op": "configure", "conflate_ms": 500, "resume": False}
        for stream in (slow, fast):
            stream.send(TICKER, op="subscribe")
            assert stream.receive()["success"]
        counts = [len(stream.for_seconds(1.5)) for stream in (fast, slow)]
        assert counts[0] > 10
        # Both waited one after the other: the second has what came during the first wait, at its own pace.
        assert counts[1] <= 10


def test_account_topics_are_for_the_bound_account(market: Server, relay: Relay) -> None:
    with relay.demo.stream() as stream:
        stream.send("account", TICKER, op="subscribe")
        accepted, refused = stream.receive(), stream.receive()
        assert accepted == {"success": True, "op": "subscribe", "args": [TICKER]}
        assert (refused["args"], refused["error"]) == (["account"], "Forbidden")
        assert "'upstream'" in refused["message"]
    with relay.bound.stream() as stream:
        stream.send("account.position", "account.execution", op="subscribe")
        assert stream.receive()["success"]
        market.demo.buy("0.01")
        frames = stream.collect(lambda found: {frame["topic"] for frame in found if rows(frame)} >= BOTH)
        (row,) = rows(next(frame for frame in frames if frame["topic"] == "account.position" and rows(frame)))
        assert (row["symbol"], row["positionSide"]) == (PERPETUAL, "LONG")


BOTH = {"account.position", "account.execution"}


def rows(frame: dict[str, Any]) -> list[Any]:
    return [row for part in frame["data"] for row in part["rows"]]


def test_rest_reads_are_passed_on(market: Server, relay: Relay) -> None:
    before = relay.health()
    contract = f"/market/contract?symbol={PERPETUAL}"
    for _ in range(5):
        assert relay.demo.get(contract) == market.demo.get(contract)
    after = relay.health()
    assert after["readsShared"] - before["readsShared"] >= 3
    candles = f"/market/kline?symbol={PERPETUAL}&interval=1D&limit=200&endTime=1700000000000000000"
    assert relay.demo.get(candles) == market.demo.get(candles)
    assert relay.bound.get("/account/balance?asset=USDT")[0]["asset"] == "USDT"
    assert relay.demo.refused("GET", "/market/ticker?symbol=NOPE")[0] == "InvalidSymbol"
    reply = relay.demo.send("GET", "/account")
    assert (reply.status_code, reply.json()) == (403, {"error": "Forbidden"})
    assert relay.bound.not_placed("BUY", "0.01") == "RelayOnly"
    assert relay.http.get("/api/v1/public/ping").json() == {}


def test_symbols_are_the_upstreams(relay: Relay) -> None:
    with relay.demo.stream() as stream:
        stream.send("ticker.NOPE", op="subscribe")
        assert stream.receive()["error"] == "InvalidSymbol"


def test_more_topics_than_a_socket_may_have(market: Server, tmp_path: Path) -> None:
    topics = [TICKER, BOOK, DELTA, "ticker.BTCUSDT", "orderbook.BTCUSDT"]
    with Relay(market.demo, "--topics-per-socket", "2", "--linger", "0", home=tmp_path) as relay:
        with relay.demo.stream() as stream:
            stream.send(*topics, op="subscribe")
            assert stream.receive()["success"]
            stream.collect(lambda found: {frame["topic"] for frame in found} == set(topics))
            assert relay.health()["upstreamSockets"] == 3
        until(lambda: relay.health()["upstreamSockets"] == 1)
        assert relay.health()["upstreamConnected"]


def trade(owner: Account, other: Account, rounds: int, draw: random.Random) -> None:
    """Rest, fill, cancel."""
    for _ in range(rounds):
        price = str(draw.randrange(50_000, 60_000))
        resting = other.sell("0.02", price) if draw.random() < 0.5 else other.buy("0.02", price)
        (owner.buy if resting["side"] == "SELL" else owner.sell)("0.01", price)
        other.cancel_all()


def test_a_lossy_link_is_healed(quiet: Server, tmp_path: Path) -> None:
    draw = random.Random(7)
    owner, other = quiet.account(), quiet.account()
    topics = [TICKER, DELTA, "account.position", "account.balance", "account.order", "account.execution"]
    with LossyLink(quiet.url) as link, Relay(owner, "--longest-wait", "0.2", home=tmp_path, upstream=link.url) as relay:
        with relay.bound.stream() as stream:
            stream.send(*topics, op="subscribe")
            reader = Reader(stream)
            reader.until(lambda: len(reader.fold.state) == len(topics))
            for number in range(12):
                trade(owner, other, 2, draw)
                if number % 3 == 2:
                    link.down()
                    trade(owner, other, 2, draw)  # nobody can see this now
                    link.up()
                else:
                    link.cut()
                trade(owner, other, 1, draw)
                reader.until(lambda seen=number + 1: reader.notices.count(True) >= seen)
            last = owner.sell("0.001", "90000")
            assert reader.notices.count(False) >= 12
            wanted = [row["execId"] for row in all_executions(owner)]
            reader.until(
                lambda: last["orderId"] in reader.fold.state["account.order"] and len(reader.executions) >= len(wanted)
            )
            assert reader.executions == wanted
            position = owner.position()
            book = owner.get(f"/market/orderbook?symbol={PERPETUAL}")
            state = reader.fold.state
            reader.until(lambda: levels(state[DELTA]) == (book["bids"], book["asks"]))
            reader.until(lambda: state["account.position"].get(PERPETUAL, position) == position)
            reader.until(
                lambda: state[TICKER]["lastPrice"] == owner.get(f"/market/ticker?symbol={PERPETUAL}")["lastPrice"]
            )
        # A reader who comes while the upstream is away is told so, and begins with what was known.
        with relay.demo.stream(TICKER) as early:
            link.down()
            assert (
                early.collect(lambda found: bool(found) and found[-1].get("op") == "upstream")[-1]["connected"] is False
            )
            with relay.demo.stream() as late:
                assert late.receive()["connected"] is False
                late.subscribe(TICKER)
            reply = relay.demo.send("GET", f"/market/kline?symbol={PERPETUAL}&interval=1")
            assert (reply.status_code, reply.json()["error"]) == (502, "UpstreamFailed")
            assert relay.health()["status"] == "failing"
            link.up()
            assert early.collect(lambda found: bool(found) and "connected" in found[-1])[-1]["connected"] is True
        health = relay.health()
        assert (health["status"], health["unreadableFrames"]) == ("ok", 0)


def levels(sides: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Bids and asks, best first."""
    bids, asks = (sorted(sides[side].items(), reverse=side == "bids") for side in ("bids", "asks"))
    return [level for _, level in bids], [level for _, level in asks]


class Reader:
    """Folds what a stream brings."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.fold = Fold()
        self.executions: list[str] = []
        self.notices: list[bool] = []
        self._sequence: Any = None

    def until(self, wanted: Any) -> None:
        deadline = time.monotonic() + 20
        while not wanted():
            assert time.monotonic() < deadline, (self.executions, self.notices, self.fold.state)
            self._take(message(self.stream))

    def _take(self, data: bytes) -> None:
        frame = json.loads(data)
        if frame.get("op") == "upstream":
            assert "missing" not in frame
            self.notices.append(frame["connected"])
        if "topic" not in frame:
            return
        self.fold.apply(data)
        if frame["topic"] == "account.execution":
            self.executions += [row["execId"] for row in rows(frame)]
        if frame["topic"] == DELTA:
            (row,) = rows(frame)
            if frame["data"][0]["actionType"] == "UPDATE":
                assert row["prevSeq"] == self._sequence
            self._sequence = row["seq"]


def all_executions(owner: Account) -> list[Any]:
    """Oldest first."""
    found = owner.get("/trade/execution/history?count=1000")["history"][::-1]
    return sorted(found, key=lambda row: int(row["transactTime"]))


def test_an_upstream_that_is_killed_and_comes_back(tmp_path: Path) -> None:
    flags = ("--symbols", PERPETUAL, "--no-market")
    server = Server(tmp_path / "data", *flags)
    with (
        LossyLink(server.url) as link,
        Relay(server.demo, "--longest-wait", "0.2", home=tmp_path, upstream=link.url) as relay,
        relay.bound.stream() as stream,
    ):
        stream.send("account", "account.execution", op="subscribe")
        reader = Reader(stream)
        reader.until(lambda: len(reader.fold.state) == 2)
        other = server.account()
        other.sell("0.01", "50000")
        server.demo.buy("0.01")
        server.stop(signal.SIGKILL)
        with Server(tmp_path / "data", *flags) as again:
            link.retarget(again.url)
            wanted = [row["execId"] for row in all_executions(again.demo)]
            reader.until(lambda: True in reader.notices and len(reader.executions) >= len(wanted))
            assert reader.executions == wanted
            account = again.demo.get("/account")
            reader.until(lambda: reader.fold.state["account"] == account)


def test_a_key_that_is_revoked_upstream_ends_it(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--symbols", PERPETUAL, "--no-market") as server:
        owner = server.account()
        relay = Relay(owner, home=tmp_path)
        server.control("DELETE", f"keys/{owner.key}")
        code = relay.process.wait(20)
        _, err = relay.stop()
        assert code == 1
        assert err.startswith("tickwire relay: the upstream will have nothing more to do with us: ")


def test_what_is_wrong_from_the_beginning(tmp_path: Path) -> None:
    def refused(*flags: str) -> str:
        key = ("--upstream-key", "no-such-key", "--upstream-secret", "no-such-secret")
        done = tickwire("relay", *key, "--port", "0", *flags, home=tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        return done.stderr

    with Server(tmp_path / "data", "--symbols", PERPETUAL, "--no-market") as server:
        assert "the upstream refuses: api.invalidSession" in refused("--upstream", server.url)
    assert "--upstream: expected an address" in refused("--upstream", "ftp://somewhere")
    assert "--linger: expected at least 0" in refused("--upstream", "http://127.0.0.1:1", "--linger", "-1")
    assert "key: expected 8 to 128" in refused(
        "--upstream", "http://127.0.0.1:1", "--demo-key", "k", "--demo-secret", "s"
    )
    assert "--tls-key: expected together with --tls-cert" in refused(
        "--upstream", "http://127.0.0.1:1", "--tls-key", "k"
    )


def test_a_relay_has_metrics_and_a_log_and_serves_tls(market: Server, tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.private_key_pem.write_to_path(key)
    for part in issued.cert_chain_pems:
        part.write_to_path(certificate, append=True)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    flags = ("--tls-cert", str(certificate), "--tls-key", str(key), "--log-level", "info")
    relay = Relay(market.demo, *flags, home=tmp_path, verify=trust)
    assert relay.url.startswith("https:")
    with relay.demo.stream(ssl=trust) as stream:
        stream.send(TICKER, op="subscribe")
        assert stream.receive()["success"]
        assert 'tickwire_stream_subscriptions{kind="ticker"} 1\n' in relay.http.get("/_tickwire/metrics").text
    relay.process.send_signal(signal.SIGHUP)
    assert relay.process.stdout is not None
    assert any(line == f"read the certificate {certificate} again\n" for line in relay.process.stdout)
    until(lambda: relay.health()["sessions"] == 0)
    code, err = relay.stop()
    assert code == 0
    assert err.count("stream closed") == 1
