"""`tickwire replay`: what was recorded comes back, through the same stream and REST as live."""

import json
import shutil
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.contract.support import PATIENCE, tickwire, until
from tests.record.conftest import Recorded
from tests.record.support import SYMBOL, TOPICS, Replay, frames, message, rows, state_after

from tickwire.record.format import FRAME
from tickwire.record.reader import Recording

TICKER = f"ticker.{SYMBOL}"
DELTA = f"orderbook.delta.{SYMBOL}"


@pytest.mark.parametrize("speed", ["1", "max"])
def test_a_subscriber_of_everything_gets_the_very_bytes(recorded: Recorded, tmp_path: Path, speed: str) -> None:
    wanted = frames(recorded.directory)
    with Replay(recorded.directory, "--speed", speed, home=tmp_path) as replay:
        assert replay.played(len(wanted), *TOPICS) == wanted
        until(lambda: not replay.health()["playing"])
        health = replay.health()
        assert (health["rounds"], health["unreadableFrames"], health["status"]) == (1, 0, "ok")


def test_replay_from_the_middle_begins_with_the_state_of_then(recorded: Recorded, tmp_path: Path) -> None:
    kept = [row for row in rows(recorded.directory) if row.kind == FRAME]
    place = len(kept) * 2 // 3
    start = kept[place].received
    place = next(at for at, row in enumerate(kept) if row.received >= start)
    before, after = [row.data for row in kept[:place]], [row.data for row in kept[place:]]
    flags = ("--from", str(start), "--speed", "10")
    with Replay(recorded.directory, *flags, home=tmp_path) as replay:
        assert replay.health()["time"] <= str(start)
        played = replay.played(len(TOPICS) + len(after), *TOPICS)
    snapshots = [json.loads(frame) for frame in played[: len(TOPICS)]]
    assert [frame["topic"] for frame in snapshots] == TOPICS
    assert {frame["data"][0]["actionType"] for frame in snapshots} == {"SNAPSHOT"}
    assert state_after(played[: len(TOPICS)]) == state_after(before)
    for frame in snapshots:
        # Its time is that of the newest frame that it stands for.
        newest = [old for old in map(json.loads, before) if old["topic"] == frame["topic"]][-1]
        assert frame["ts"] == newest["ts"]
    # Best first, as the contract has it.
    book = snapshots[TOPICS.index(DELTA)]["data"][0]["rows"][0]
    bids, asks = ([Decimal(price) for price, _ in book[side]] for side in ("bids", "asks"))
    assert (bids, asks) == (sorted(bids, reverse=True), sorted(asks))
    assert book["seq"] == book["prevSeq"]
    assert played[len(TOPICS) :] == after


def test_who_comes_later_gets_the_state_of_that_moment(recorded: Recorded, tmp_path: Path) -> None:
    wanted = frames(recorded.directory)
    with Replay(recorded.directory, home=tmp_path) as replay:
        with replay.demo.stream(TICKER) as first:
            first.receive()
            with replay.demo.stream(*TOPICS) as late:
                data = [json.dumps(late.snapshots[name]).encode() for name in TOPICS]
                count = 0
                while len(data) < len(TOPICS) + 50:
                    data.append(message(late))
                    count += 1
        # As after all frames up to the last one that it got.
        place = wanted.index(data[-1]) + 1
        assert data[-count:] == wanted[place - count : place]
        assert state_after(data) == state_after(wanted[:place])


def test_what_lies_beyond_the_end_is_not_played(recorded: Recorded, tmp_path: Path) -> None:
    kept = [row for row in rows(recorded.directory) if row.kind == FRAME]
    start, end = kept[100].received, kept[160].received
    wanted = [row.data for row in kept if start <= row.received <= end and row.topic == DELTA]
    flags = ("--from", str(start), "--to", str(end), "--speed", "max")
    with Replay(recorded.directory, *flags, home=tmp_path) as replay, replay.demo.stream(DELTA) as stream:
        until(lambda: not replay.health()["playing"])
        assert stream.barrier() == list(map(json.loads, wanted))


def test_rest_answers_as_of_the_replays_time(recorded: Recorded, tmp_path: Path) -> None:
    with Replay(recorded.directory, "--speed", "max", home=tmp_path) as replay:
        demo = replay.demo
        assert replay.http.get("/api/v1/public/ping").json() == {}
        metrics = replay.http.get("/_tickwire/metrics").text
        assert 'tickwire_rest_requests_total{method="GET",endpoint="/api/v1/public/ping",status="200"} 1\n' in metrics
        assert "tickwire_engine" not in metrics, "there is no exchange behind it"
        assert abs(int(replay.http.get("/api/v1/public/time").json()["serverTime"]) - time.time_ns()) < 60e9
        before = demo.get("/account")
        assert demo.get("/market/ticker?symbol=BTCUSDT")["symbol"] == "BTCUSDT"
        replay.played(len(frames(recorded.directory)), *TOPICS)
        until(lambda: not replay.health()["playing"])
        state = state_after(frames(recorded.directory))
        account = demo.get("/account")
        assert account == state["account"] != before
        assert demo.get("/account/margin") == {"margins": list(state["account.margin"].values())}
        assert demo.get("/account/margin?currency=BTC") == {"margins": []}
        assert demo.get("/account/balance?asset=USDT") == [state["account.balance"]["USDT"]]
        assert demo.get("/account/position") == list(state["account.position"].values())
        assert demo.get("/trade/order") == list(state["account.order"].values())
        assert [row["orderId"] for row in recorded.everything["/trade/order"]] == list(state["account.order"])
        ticker = demo.get(f"/market/ticker?symbol={SYMBOL}")
        assert ticker == state[TICKER]
        assert ticker in demo.get("/market/ticker")
        book = demo.get(f"/market/orderbook?symbol={SYMBOL}&limit=3")
        assert book == {
            "symbol": SYMBOL,
            "bids": [state[DELTA]["bids"][price] for price in sorted(state[DELTA]["bids"], reverse=True)[:3]],
            "asks": [state[DELTA]["asks"][price] for price in sorted(state[DELTA]["asks"])[:3]],
        }
        candles = demo.get(f"/market/kline?symbol={SYMBOL}&interval=1&limit=1000")
        assert len(candles) == 1000
        assert candles[-1] == state[f"kline.1.{SYMBOL}"]
        second = candles[1][0]
        limited = demo.get(f"/market/kline?symbol={SYMBOL}&interval=1&startTime={second}&limit=100")
        assert limited == candles[1:101]
        assert demo.get(f"/market/kline?symbol={SYMBOL}&interval=1&endTime={second}") == candles[:2]
        assert demo.get(f"/market/contract?symbol={SYMBOL}")["tickSize"] == "0.1"
        assert [row["symbol"] for row in demo.get("/market/contract")] == ["BTCUSDT.PERP", "BTCUSDT"]
        (funding,) = demo.get(f"/market/funding-info?symbol={SYMBOL}")
        assert funding["fundingRate"] == ticker["fundingRate"]
        assert demo.get("/market/fee-rate")[0]["feeRate"] == "0.0006"
        assert demo.get("/trade/symbol") == {"spot": ["BTCUSDT"], "perpetualSwap": ["BTCUSDT.PERP"]}


def test_what_a_replay_can_not_do_is_refused(recorded: Recorded, tmp_path: Path) -> None:
    with Replay(recorded.directory, home=tmp_path) as replay:
        demo = replay.demo
        sentence = "this server replays a recording: nothing can be traded or changed"
        order: dict[str, Any] = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "1"}
        assert demo.refused("POST", "/trade/order", **order) == ("ReplayOnly", sentence)
        for method, target, fields in (
            ("DELETE", "/trade/order", {"symbol": SYMBOL, "orderId": "00000000-0000-7000-8000-000000000000"}),
            ("POST", "/trade/leverage", {"symbol": SYMBOL, "leverage": 5, "marginType": "CROSS"}),
            ("PUT", "/account/trade-mode", {"tradeMode": "ONE_WAY"}),
            ("GET", "/trade/order/history", {}),
            ("GET", "/trade/execution/history", {}),
        ):
            assert demo.refused(method, target, **fields)[0] == "ReplayOnly", target
        assert demo.refused("GET", f"/market/kline?symbol={SYMBOL}&interval=5")[0] == "NotRecorded"
        assert demo.refused("GET", "/market/ticker?symbol=NOPE")[0] == "InvalidSymbol"
        assert demo.refused("GET", "/market/contract?symbol=NOPE")[0] == "InvalidSymbol"
        assert demo.refused("GET", "/market/orderbook?symbol=BTCUSDT")[0] == "NotRecorded"
        assert demo.send("GET", "/nonsense").status_code == 403
        with demo.stream() as stream:
            stream.send("ticker.ETHUSDT", op="subscribe")
            reply = stream.receive()
            assert (reply["success"], reply["error"]) == (False, "NotRecorded")
            assert TICKER in reply["message"]
        demo.secret = "wrong"
        assert demo.send("GET", "/account").status_code == 401


def test_shifted_time_is_now(recorded: Recorded, tmp_path: Path) -> None:
    wanted = [json.loads(frame) for frame in frames(recorded.directory)]
    with Replay(recorded.directory, "--shift-time", "--speed", "max", home=tmp_path) as replay:
        before = time.time_ns()
        played = [json.loads(frame) for frame in replay.played(len(wanted), *TOPICS)]
    shifts = {int(new.pop("ts")) - int(old.pop("ts")) for new, old in zip(played, wanted, strict=True)}
    assert played == wanted
    (shift,) = shifts
    assert shift > 0
    first = min(row.received for row in rows(recorded.directory))
    assert before - 5e9 < first + shift < time.time_ns()


def test_a_loop_begins_again_with_snapshots_and_time_goes_on(recorded: Recorded, tmp_path: Path) -> None:
    count = len(frames(recorded.directory))
    with Replay(recorded.directory, "--loop", "--speed", "max", home=tmp_path) as replay:
        played = [json.loads(frame) for frame in replay.played(2 * count, *TOPICS)]
        until(lambda: replay.health()["rounds"] > 1)
    second = played[count:]
    assert {frame["topic"] for frame in second[: len(TOPICS)]} == set(TOPICS)
    assert {frame["data"][0]["actionType"] for frame in second[: len(TOPICS)]} == {"SNAPSHOT"}
    for topic in TOPICS:
        times = [int(frame["ts"]) for frame in played if frame["topic"] == topic]
        assert times == sorted(times)


def test_at_full_speed_a_slow_reader_misses_nothing(recorded: Recorded, tmp_path: Path) -> None:
    wanted = frames(recorded.directory)
    with Replay(recorded.directory, "--speed", "max", home=tmp_path) as replay, replay.demo.stream() as stream:
        stream.send(*TOPICS, op="subscribe")
        stream.receive()
        played = []
        for place in range(len(wanted)):
            if place % 100 == 0:
                time.sleep(0.02)
            played.append(message(stream))
        assert played == wanted


def test_keys_of_a_directory_are_kept(recorded: Recorded, tmp_path: Path) -> None:
    data = tmp_path / "keys"
    flags = ("--data", str(data), "--demo-key", "demo-key-1", "--demo-secret", "demo-secret-1")
    with Replay(recorded.directory, *flags, home=tmp_path) as replay:
        assert (replay.demo.key, replay.demo.secret) == ("demo-key-1", "demo-secret-1")
        watched = tickwire("key", "list", "--data", str(data), home=tmp_path)
        assert "demo-key-1" in watched.stdout
    with Replay(recorded.directory, "--data", str(data), home=tmp_path) as replay:
        assert replay.demo.key == "demo-key-1"
        assert replay.demo.get("/account")


def test_a_damaged_file_ends_the_replay_with_its_name(recorded: Recorded, tmp_path: Path) -> None:
    directory = tmp_path / "damaged"
    shutil.copytree(recorded.directory, directory)
    damaged = Recording(directory).paths()[-1]
    data = bytearray(damaged.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 2_000] = bytes(2_000)
    damaged.write_bytes(data)
    replay = Replay(directory, "--from", "+1ms", "--speed", "max", home=tmp_path)
    with replay.demo.stream() as stream:
        stream.send(*TOPICS, op="subscribe")
        replay.process.wait(PATIENCE)
    code, err = replay.stop()
    assert code == 1
    assert err.startswith(f"tickwire replay: {damaged}: expected a whole file of a recording, got a damaged one")
    checked = tickwire("replay", str(directory), "--check", home=tmp_path)
    assert checked.returncode == 1
    assert f"problem  {damaged}" in checked.stdout


def test_a_check_says_what_is_there(recorded: Recorded, tmp_path: Path) -> None:
    printed = tickwire("replay", str(recorded.directory), "--check", home=tmp_path)
    assert printed.returncode == 0
    assert f"topic    {TICKER}: " in printed.stdout
    assert "the end: the recording was stopped" in printed.stdout
    report = json.loads(tickwire("replay", str(recorded.directory), "--check", "--json", home=tmp_path).stdout)
    assert report["frames"] == len(frames(recorded.directory)) == sum(report["topics"].values())
    assert report["problems"] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--speed", "fast"), "--speed: expected 0.001 to 1000000, or max, got fast"),
        (("--speed", "nan"), "--speed: expected"),
        (("--from", "yesterday"), "--from: expected a time such as"),
        (("--from", "2100-01-01"), "--from: expected a time before the recording's end"),
        (("--to", "2001-01-01T00:00:00Z"), "--to: expected a time after the begin"),
        (("--demo-key", "demo-key-1"), "--demo-key: expected together with --demo-secret"),
        (("--port", "99999"), "can't listen"),
    ],
)
def test_flags_that_can_not_be_used(recorded: Recorded, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    result = tickwire("replay", str(recorded.directory), *arguments, home=tmp_path)
    assert (result.returncode, "Traceback" in result.stderr) == (1, False)
    assert words in result.stderr


def test_no_recording_there(tmp_path: Path) -> None:
    result = tickwire("replay", str(tmp_path / "none"), home=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("tickwire replay: ")
