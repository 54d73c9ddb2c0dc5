"""What no exchange offers: the control plane, and the documents that the server gives out."""

import json
import random
import socket
import threading
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.contract import shapes
from tests.contract.support import PERPETUAL, Account, Message, Server, Stream, rows_of, until
from websockets.exceptions import ConnectionClosed

CONTROL = (("GET", "keys"), ("POST", "keys"), ("DELETE", "keys/some-key-1"), ("POST", "deposit"))


def call(server: Server, method: str, path: str, body: object = None, token: str | None = None) -> httpx.Response:
    headers = {} if token is None else {"x-tickwire-token": token}
    return server.http.request(method, f"/_tickwire/{path}", json=body, headers=headers)


def test_health_is_for_anybody(live: Server) -> None:
    reply = call(live, "GET", "health")
    assert reply.status_code == 200
    health = reply.json()
    assert (health["status"], health["market"]) == ("ok", True)
    assert shapes.timestamp(health["time"])
    with live.demo.stream("account", f"ticker.{PERPETUAL}"):
        later = call(live, "GET", "health").json()
        assert later["sessions"] == health["sessions"] + 1
        assert later["subscriptions"] == health["subscriptions"] + 2
    until(lambda: call(live, "GET", "health").json()["sequence"] > health["sequence"])


@pytest.mark.parametrize(("method", "path"), CONTROL)
@pytest.mark.parametrize("token", [None, "", "wrong", "x" * 5000])
def test_all_else_needs_the_token(quiet: Server, method: str, path: str, token: str | None) -> None:
    reply = call(quiet, method, path, {"account": "mallory"}, token)
    assert (reply.status_code, reply.json()) == (403, {"error": "Forbidden"})
    assert "mallory" not in [row["account"] for row in quiet.control("GET", "keys")["keys"]]


def test_an_api_key_is_no_token(quiet: Server) -> None:
    headers = quiet.demo.headers("GET", "/_tickwire/keys")
    assert quiet.http.get("/_tickwire/keys", headers=headers).status_code == 403
    assert call(quiet, "GET", "keys", token=quiet.demo.secret).status_code == 403


def test_keys(quiet: Server) -> None:
    made = quiet.control("POST", "keys", {"account": "somebody", "scopes": ["read"], "allow": ["127.0.0.1"]})
    assert set(made) == {"key", "secret", "account", "scopes", "allow", "created"}
    rows = {row["key"]: row for row in quiet.control("GET", "keys")["keys"]}
    assert rows[made["key"]] == {name: value for name, value in made.items() if name != "secret"}
    assert quiet.control("DELETE", f"keys/{made['key']}") == {"revoked": True}
    assert quiet.control("DELETE", f"keys/{made['key']}") == {"revoked": False}
    assert made["key"] not in [row["key"] for row in quiet.control("GET", "keys")["keys"]]
    # A text that was a key once is never one again.
    reply = call(quiet, "POST", "keys", {"account": "somebody", "key": made["key"]}, quiet.token)
    assert (reply.status_code, reply.json()["error"]) == (400, "InvalidParameter")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "account"),
        ({"account": ""}, "account"),
        ({"account": "a b"}, "account"),
        ({"account": 1}, "account"),
        ({"account": "a", "scopes": []}, "scopes"),
        ({"account": "a", "scopes": ["write"]}, "scopes"),
        ({"account": "a", "allow": ["nowhere"]}, "allow"),
        ({"account": "a", "key": "short"}, "key"),
        ({"account": "a", "secret": "with a blank"}, "secret"),
        ({"account": "a", "secret": ""}, "secret"),
    ],
)
def test_bad_keys(quiet: Server, body: dict[str, Any], field: str) -> None:
    before = quiet.control("GET", "keys")
    reply = call(quiet, "POST", "keys", body, quiet.token)
    assert (reply.status_code, reply.json()["error"]) == (400, "InvalidParameter")
    assert field in reply.json()["message"]
    assert quiet.control("GET", "keys") == before


def test_deposits_and_withdrawals(alice: Account, bob: Account) -> None:
    def move(amount: str, asset: str = "USDT") -> Any:
        return alice.server.control("POST", "deposit", {"account": "alice", "asset": asset, "amount": amount})

    assert move("50.5") == {
        "asset": "USDT", "balance": "100050.5", "availableBalance": "100050.5", "maxWithdrawableAmount": "100050.5",
    }  # fmt: skip
    assert move("-50.5")["balance"] == "100000"
    assert move("0.00000001", "BTC")["balance"] == "0.00000001"
    # What a position holds stays.
    bob.sell("1", "50000")
    alice.buy("1")
    reply = call(
        alice.server, "POST", "deposit", {"account": "alice", "asset": "USDT", "amount": "-95000"}, alice.server.token
    )
    assert (reply.status_code, reply.json()["error"]) == (400, "InsufficientBalance")
    assert move("-94970")["availableBalance"] == "0"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": "0"}, "amount"),
        ({"amount": "1e3"}, "amount"),
        ({"amount": "-0"}, "amount"),
        ({"amount": 5}, "amount"),
        ({"amount": "0.000000001"}, "amount"),
        ({"amount": "9" * 30}, "amount"),
        ({"asset": "NOSUCH"}, "asset"),
        ({"account": "nobody-knows"}, "account"),
    ],
)
def test_bad_deposits(quiet: Server, change: dict[str, Any], field: str) -> None:
    body = {"account": "demo", "asset": "USDT", "amount": "1", **change}
    before = quiet.demo.get("/account/balance")
    reply = call(quiet, "POST", "deposit", body, quiet.token)
    assert reply.status_code == 400
    assert field in reply.json()["message"]
    assert quiet.demo.get("/account/balance") == before


@pytest.mark.parametrize("path", ["", "nothing", "keys/", "keys/a/b", "deposit/x", "Keys"])
def test_what_is_not_there(quiet: Server, path: str) -> None:
    assert call(quiet, "GET", path, token=quiet.token).status_code in (404, 405)


def test_the_control_plane_is_not_below_the_api(quiet: Server) -> None:
    assert quiet.http.get("/api/v1/_tickwire/health").status_code == 403
    assert call(quiet, "PATCH", "keys", token=quiet.token).status_code == 405


def test_a_key_for_an_account_that_exists_brings_no_money(alice: Account) -> None:
    alice.server.key("alice")
    assert alice.get("/account")["totalWalletBalance"] == "100000"


def test_a_revoked_keys_sockets_are_closed(alice: Account) -> None:
    with alice.stream("account") as stream:
        alice.server.control("DELETE", f"keys/{alice.key}")
        with pytest.raises(ConnectionClosed) as caught:
            stream.receive()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1008


# Fewer frames.

TICKER, BOOK, DELTA = (f"{kind}.{PERPETUAL}" for kind in ("ticker", "orderbook", "orderbook.delta"))
EVERYTHING = [
    TICKER, BOOK, DELTA, f"kline.1.{PERPETUAL}", "account", "account.margin", "account.balance", "account.position",
    "account.order", "account.execution",
]  # fmt: skip


def configure(stream: Stream, **choice: object) -> Message:
    stream.send(op="configure", **choice)
    while "success" not in (reply := stream.receive()):
        pass
    return reply


def trade(alice: Account, bob: Account, times: int) -> None:
    """Orders, fills, positions, candles: something for every topic."""
    for number in range(times):
        bob.sell("0.002", str(50_000 + number))
        alice.buy("0.001")
        alice.sell("0.001", str(60_000 + number))


def test_configure_says_what_holds(quiet: Server) -> None:
    with quiet.demo.stream() as stream:
        answer = {"success": True, "op": "configure"}
        assert configure(stream, conflate_ms=250, id=7) == answer | {"conflate_ms": 250, "resume": False, "id": 7}
        assert configure(stream, resume=True) == answer | {"conflate_ms": 250, "resume": True}
        assert configure(stream, conflate_ms=0, resume=False) == answer | {"conflate_ms": 0, "resume": False}


@pytest.mark.parametrize(
    ("choice", "field"),
    [
        ({}, "conflate_ms"),
        ({"conflate_ms": -1}, "conflate_ms"),
        ({"conflate_ms": 60_001}, "conflate_ms"),
        ({"conflate_ms": 0.5}, "conflate_ms"),
        ({"conflate_ms": "250"}, "conflate_ms"),
        ({"conflate_ms": True}, "conflate_ms"),
        ({"resume": "yes"}, "resume"),
        ({"conflate_ms": 250, "resume": 1}, "resume"),
    ],
)
def test_bad_choices_are_refused_by_name_and_change_nothing(quiet: Server, choice: dict[str, Any], field: str) -> None:
    with quiet.demo.stream() as stream:
        reply = configure(stream, **choice, id="x")
        assert (reply["success"], reply["op"], reply["error"]) == (False, "configure", "InvalidParameter")
        assert field in reply["message"]
        assert reply["id"] == "x"
        assert configure(stream, conflate_ms=0) == {
            "success": True, "op": "configure", "conflate_ms": 0, "resume": False,
        }  # fmt: skip


def test_one_frame_an_interval_and_nothing_lost(alice: Account, bob: Account) -> None:
    with alice.stream() as every, alice.stream() as some:
        configure(some, conflate_ms=400)
        every.subscribe(*EVERYTHING)
        some.subscribe(*EVERYTHING)
        trade(alice, bob, 20)
        all_frames = every.for_seconds_of_silence(0.2)  # a book is pushed some time after its change
        fewer = some.collect(lambda found: understood(found, some) == understood(all_frames, every))
        assert len(fewer) < len(all_frames) / 2
        for topic in ("account.order", "account.execution"):
            assert rows_of(fewer, topic) == rows_of(all_frames, topic)
        # Deltas are merged, not cut out.
        rows = rows_of([some.snapshots[DELTA], *fewer], DELTA)
        assert all(later["prevSeq"] == earlier["seq"] for earlier, later in pairwise(rows))


def understood(messages: list[Message], stream: Stream) -> dict[str, Any]:
    """What a client knows after some messages: the newest value of each field, book level and row."""
    known: dict[str, Any] = {}
    for message in [*stream.snapshots.values(), *messages]:
        topic = message["topic"]
        for row in (row for part in message["data"] for row in part["rows"]):
            if topic == DELTA:
                for side in ("bids", "asks"):
                    known |= {(topic, side, price): quantity for price, quantity in row[side] if quantity != "0"}
                    for price, quantity in row[side]:
                        if quantity == "0":
                            known.pop((topic, side, price), None)
                known[topic] = row["seq"]
            elif isinstance(row, dict) and topic not in ("account.order", "account.execution"):
                name = row.get("asset") or row.get("symbol")
                known[topic, name] = known.get((topic, name), {}) | row
            else:
                known[topic] = row
    return known


# Resuming.


class Comeback:
    """A client that loses its connection again and again. What it has seen of each topic is to be whole."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.positions: dict[str, Message] = {}
        self.messages: list[Message] = []
        self.resumed: list[Message] = []

    def run(self, choose: random.Random, until_seconds: float) -> None:
        """Connect, resume, read a while, and have the connection torn in the midst of whatever comes."""
        with self.account.stream() as stream:
            if not self.positions:
                stream.send(op="configure", resume=True)
            stream.send(*EVERYTHING, op="subscribe", resume=self.positions)
            end = time.monotonic() + until_seconds * choose.random()
            while (left := end - time.monotonic()) > 0 or len(self.positions) < len(EVERYTHING):
                with suppress(TimeoutError):
                    self.take(json.loads(stream.connection.recv(max(left, 0.01))))
            # Without a word, and with frames unread: the server finds a dead socket.
            stream.connection.socket.shutdown(socket.SHUT_RDWR)

    def take(self, message: Message) -> None:
        if "success" in message:
            assert message["success"]
            self.resumed += [message["resumed"]] if "resumed" in message else []
            return
        if "topic" in message:
            self.messages.append(message)
            self.positions[message["topic"]] = {"epoch": message["epoch"], "offset": message["offset"]}


def test_a_client_that_is_cut_off_at_random_misses_nothing(alice: Account, bob: Account) -> None:
    choose = random.Random(7)
    comeback = Comeback(alice)
    with alice.stream(*EVERYTHING) as steady:
        for _ in range(8):
            # Orders go on while it is connected, and while it is not.
            feeder = threading.Thread(target=trade, args=(alice, bob, 6))
            feeder.start()
            comeback.run(choose, 0.15)
            feeder.join()
        with alice.stream() as stream:
            stream.send(*EVERYTHING, op="subscribe", resume=comeback.positions)
            for message in stream.barrier():
                comeback.take(message)
        witness = steady.barrier()
    assert comeback.resumed
    assert all(all(resumed.values()) for resumed in comeback.resumed)
    for topic in EVERYTHING:
        seen = [message for message in comeback.messages if message["topic"] == topic]
        assert [message["data"][0]["actionType"] for message in seen[:1]] == ["SNAPSHOT"]
        offsets = [message["offset"] for message in seen]
        assert offsets == list(range(offsets[0], offsets[0] + len(seen)))
        # The very frames that a client which was never cut off has had since.
        plain = [{name: message[name] for name in ("topic", "ts", "data")} for message in seen[1:]]
        assert plain == [message for message in witness if message["topic"] == topic][-len(plain) :], topic
        assert plain


def test_after_a_restart_every_topic_begins_with_a_snapshot(tmp_path: Path) -> None:
    topics = [TICKER, "account.order"]
    positions: dict[str, Message] = {}
    for _ in range(2):
        with Server(tmp_path / "data", "--no-market", "--no-limits") as server, server.demo.stream() as stream:
            configure(stream, resume=True)
            stream.send(*topics, op="subscribe", resume=positions)
            reply, *snapshots = [stream.receive() for _ in range(3)]
            assert reply.get("resumed", {}) == dict.fromkeys(positions, False)
            assert [message["data"][0]["actionType"] for message in snapshots] == ["SNAPSHOT"] * 2
            before, positions = (
                positions,
                {message["topic"]: {"epoch": message["epoch"], "offset": message["offset"]} for message in snapshots},
            )
            assert all(positions[topic]["epoch"] != position["epoch"] for topic, position in before.items())


@pytest.mark.parametrize(
    ("resume", "told"),
    [
        (True, "resume: expected an object"),
        ({TICKER: 5}, f"resume of {TICKER}: position: expected object"),
        ({TICKER: {"epoch": "e"}}, f"resume of {TICKER}: offset: expected a value"),
        ({TICKER: {"epoch": "e", "offset": "1"}}, f"resume of {TICKER}: offset: expected int, got str"),
        ({"account": {"epoch": "e", "offset": 1}}, "resume: expected topics of args, got 'account'"),
    ],
)
def test_positions_that_can_not_be_read_are_refused_by_name(quiet: Server, resume: Any, told: str) -> None:
    with quiet.demo.stream() as stream:
        stream.send(TICKER, op="subscribe", resume=resume, id=3)
        reply = stream.receive()
        assert (reply["success"], reply["error"], reply["id"]) == (False, "InvalidParameter", 3)
        assert reply["message"].startswith(told)
        assert stream.barrier() == []


# Documents.


@pytest.mark.parametrize("path", ["/", "/docs", "/docs/stream"])
def test_pages_for_people(quiet: Server, path: str) -> None:
    reply = quiet.http.get(path)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.text.startswith("<!doctype html>") or reply.text.startswith("<!DOCTYPE html>")
    assert "tickwire" in reply.text.lower()


def test_the_openapi_document_describes_every_path(quiet: Server) -> None:
    document = quiet.http.get("/docs/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    operations = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item if method != "parameters"
    }
    assert ("POST", "/api/v1/trade/order") in operations
    assert ("DELETE", "/api/v1/trade/order") in operations
    assert ("GET", "/api/v1/trade/execution/history") in operations
    for method, path in operations:
        # Each is known to the server: with no key it asks for one, or is open.
        status = quiet.http.request(method, path.replace("{key}", "some-key-1")).status_code
        assert status in (200, 401, 403), (method, path)
        assert status != 403 or path.startswith("/_tickwire/")


def test_the_asyncapi_document_names_every_topic(quiet: Server) -> None:
    text = json.dumps(quiet.http.get("/docs/asyncapi.json").json())
    for topic in (
        "ticker.{symbol}", "kline.{interval}.{symbol}", "orderbook.{symbol}", "orderbook.delta.{symbol}", "account",
        "account.margin", "account.balance", "account.position", "account.order", "account.execution",
    ):  # fmt: skip
        assert topic in text, topic


def test_no_page_is_no_page(quiet: Server) -> None:
    for path in ("/nothing", "/docs/", "/docs/../server.json", "/docs/%2e%2e/server.json", "/favicon.ico.txt"):
        reply = quiet.http.get(path, extensions={"target": path.encode()})
        assert reply.status_code == 404, path
    assert quiet.http.post("/docs").status_code == 405
