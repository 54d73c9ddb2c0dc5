"""`tickwire record` against real servers: every message is kept, and what is missing is said."""

import itertools
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.contract.support import Server, environment, tickwire, until
from tests.record.conftest import Recorded
from tests.record.support import TOPICS, Recorder, frames, rows
from websockets.sync.server import ServerConnection, serve

from tickwire.record.format import CONNECTED, FRAME, LOST, REPLY, REST, STATE
from tickwire.record.reader import Recording

TICKER = "ticker.BTCUSDT.PERP"
SERVER_FLAGS = ("--symbols", "BTCUSDT.PERP")


def test_every_message_is_kept_in_order(recorded: Recorded) -> None:
    found = rows(recorded.directory)
    assert [row.kind for row in found[:2]] == [CONNECTED, REPLY]
    assert json.loads(found[1].data) == {"success": True, "op": "subscribe", "args": TOPICS}
    kept = [row for row in found if row.kind == FRAME]
    assert [row.topic for row in kept[: len(TOPICS)]] == TOPICS
    # Both subscribers are sent the same bytes, once the second one is there.
    updates = [row.data for row in kept[len(TOPICS) :]]
    assert len(updates) > 300
    assert recorded.live[-len(updates) :] == updates
    assert {row.topic for row in kept[len(TOPICS) :]} >= {TICKER, "account.order", "account.execution"}
    assert all(json.loads(row.data)["topic"] == row.topic for row in kept)
    assert all(earlier.received <= later.received for earlier, later in itertools.pairwise(kept))
    assert {row.connection for row in kept} == {1}


def test_market_data_of_rest_is_kept_too(recorded: Recorded) -> None:
    asked = {row.topic: json.loads(row.data) for row in rows(recorded.directory) if row.kind == REST}
    assert {target.rpartition("/")[2].partition("?")[0] for target in asked} == {
        "contract", "ticker", "funding-info", "fee-rate", "symbol", "kline",
    }  # fmt: skip
    assert len(asked["/api/v1/market/kline?symbol=BTCUSDT.PERP&interval=1&limit=1000"]) == 1000


def test_files_rotate_and_each_begins_with_the_state(recorded: Recorded) -> None:
    recording = Recording(recorded.directory)
    paths = recording.paths()
    assert len(paths) > 2
    assert {path.suffix for path in paths} == {".parquet"}
    for path in paths[1:]:
        first = next(iter(recording.batches(recording.summary(path).first, whole_file=True)))
        kinds = [row.kind for row in first]
        states = kinds.count(STATE)
        assert states == len(TOPICS)
        assert kinds[: kinds.index(STATE)] == [REST] * kinds.index(STATE)
        assert set(kinds[kinds.index(STATE) :][:states]) == {STATE}


class Restarted:
    """A server that comes back on its port."""

    def __init__(self, directory: Path) -> None:
        self.server = Server(directory, *SERVER_FLAGS)
        self.port = int(self.server.url.rpartition(":")[2])
        self.directory = directory

    def restart(self) -> None:
        self.server.http.close()
        self.server.process.kill()
        self.server.process.communicate()
        command = ["serve", "--port", str(self.port), "--data", str(self.directory), *SERVER_FLAGS]
        self.server.process = subprocess.Popen(
            [sys.executable, "-m", "tickwire.cli", *command],
            stdout=subprocess.DEVNULL,
            env=environment(self.directory.parent),
        )


def test_a_server_that_is_killed_leaves_a_gap_that_is_told(tmp_path: Path) -> None:
    restarted = Restarted(tmp_path / "data")
    recorder = Recorder(restarted.server, tmp_path / "recording", topics=[TICKER, "account"])
    recorder.until(5)
    restarted.restart()
    until(lambda: [row.kind for row in rows(tmp_path / "recording")].count(CONNECTED) == 2)
    recorder.until(len(frames(tmp_path / "recording")) + 3)
    code, out, _ = recorder.stop()
    restarted.server.process.terminate()
    restarted.server.process.wait()
    assert (code, "1 gaps" in out) == (0, True)
    found = [row for row in rows(tmp_path / "recording") if row.kind != REST]
    kinds = [row.kind for row in found]
    lost, back = kinds.index(LOST), kinds.index(CONNECTED, 1)
    assert kinds[lost + 1 : back] == [], "one row for one gap, however many tries it took"
    assert found[lost].received <= found[back].received
    assert kinds[back : back + 4] == [CONNECTED, REPLY, FRAME, FRAME]
    assert b'"SNAPSHOT"' in found[back + 2].data
    assert [row.connection for row in found] == [1] * back + [2] * (len(found) - back)
    first, last = Recording(tmp_path / "recording").check().gaps
    assert (first.lost, first.back) == (found[lost].received, found[back].received)
    assert (last.back, last.reason) == (None, "the recording was stopped")


def test_a_killed_recorder_loses_next_to_nothing_and_the_next_one_goes_on(tmp_path: Path) -> None:
    directory = tmp_path / "recording"
    with Server(tmp_path / "data", *SERVER_FLAGS) as server:
        recorder = Recorder(server, directory, topics=[TICKER])
        recorder.until(20)
        recorder.stop(signal.SIGKILL)
        left = rows(directory)
        assert len([row for row in left if row.kind == FRAME]) >= 20
        assert Recording(directory).check().problems == []
        recorder = Recorder(server, directory, topics=[TICKER])
        recorder.until(5)
        assert recorder.stop()[0] == 0
    after = rows(directory)
    assert after[: len(left)] == left
    assert [row.kind for row in after[len(left) : len(left) + 4]] == [LOST, CONNECTED, REPLY, FRAME]
    assert [row.connection for row in after[len(left) : len(left) + 2]] == [1, 2]
    first, _ = Recording(directory).check().gaps
    assert first.reason == "the recorder was stopped without closing the file"


def test_a_server_that_is_away_is_waited_for(tmp_path: Path) -> None:
    restarted = Restarted(tmp_path / "data")
    restarted.server.process.kill()
    restarted.server.process.wait()
    recorder = Recorder(restarted.server, tmp_path / "recording", topics=[TICKER])
    until(lambda: [row.kind for row in rows(tmp_path / "recording")] == [LOST])
    restarted.restart()
    recorder.until(3)
    restarted.server.process.terminate()
    restarted.server.process.wait()
    code, _, err = recorder.stop()
    assert code == 0
    # What could not be asked for is said once, not once a try.
    assert err.count("GET /api/v1/market/contract") <= 1


def test_a_wrong_secret_ends_it(tmp_path: Path) -> None:
    with Server(tmp_path / "data", *SERVER_FLAGS) as server:
        server.demo.secret = "wrong"
        code, _, err = Recorder(server, tmp_path / "recording", topics=[TICKER]).stop(signal.SIG_DFL)
    assert code == 1
    assert "tickwire record: the stream has ended for good: status 401 api.unauthorized" in err
    assert "Traceback" not in err


def test_refused_topics_are_named(tmp_path: Path) -> None:
    with Server(tmp_path / "data", *SERVER_FLAGS) as server:
        recorder = Recorder(server, tmp_path / "recording", "--duration", "1s", topics=[TICKER, "ticker.NOPE"])
        code, out, err = recorder.stop(signal.SIG_DFL)
    assert code == 0
    assert err.count("ticker.NOPE: refused: InvalidSymbol: no symbol 'NOPE'") == 1
    assert "0 gaps" in out
    assert frames(tmp_path / "recording")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "x"], "expected a topic"),
        (["ticker", "--to", "x"], "expected a topic such as"),
        ([TICKER, "--to", "x", "--duration", "soon"], "--duration: expected a duration such as 90s, 15m or 1h"),
        ([TICKER, "--to", "x", "--rotate-size", "0MB"], "--rotate-size: expected a size"),
        ([TICKER, "--to", "x"], "no such server found"),
        ([TICKER], "--to"),
    ],
)
def test_arguments_that_can_not_be_used(tmp_path: Path, arguments: list[str], words: str) -> None:
    result = tickwire("record", *arguments, home=tmp_path, cwd=tmp_path)
    assert result.returncode != 0
    assert words in result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "x").exists()


NOISE: list[str | bytes] = [
    "no json",
    "[]",
    "{",
    '{"topic":5}',
    '{"topic":"ticker.BTCUSDT.PERP"}',
    '{"topic":"ticker.BTCUSDT.PERP","ts":"1","data":[{"actionType":"UPDATE","rows":[7]}]}',
    '{"topic":"orderbook.delta.A","ts":"1","data":[{"actionType":"UPDATE","rows":[{"bids":[["1","2"]]}]}]}',
    '{"topic":"orderbook.delta.B","ts":"1","data":[{"actionType":"SNAPSHOT","rows":[{"seq":4,"bids":[],"asks":[]}]}]}',
    '{"topic":"orderbook.delta.B","ts":"2","data":[{"actionType":"UPDATE","rows":[{"seq":9,"prevSeq":8,"bids":5}]}]}',
    '{"topic":"new.topic","ts":"1","data":[]}',
    b"\x00\xff binary",
    '{"ts":"1","topic":"ticker.\\u0041","data":[]}',
    "x" * 100_000,
]


def test_whatever_a_server_sends_is_kept(tmp_path: Path) -> None:
    def handle(connection: ServerConnection) -> None:
        connection.recv()
        for message in NOISE:
            connection.send(message)
        connection.recv()

    with serve(handle, "127.0.0.1", 0) as noisy:
        thread = threading.Thread(target=noisy.serve_forever)
        thread.start()
        server = type("Noisy", (), {})()
        server.url = f"http://127.0.0.1:{noisy.socket.getsockname()[1]}"
        server.demo = type("Demo", (), {"key": "noisy-key", "secret": "secret"})()
        # Rotation in the midst of it: what can't be folded is no state, and keeps no file from being begun.
        recorder = Recorder(server, tmp_path / "recording", "--no-rest", "--rotate-size", "300B", topics=[TICKER])
        until(lambda: len([row for row in rows(tmp_path / "recording") if row.kind in (FRAME, REPLY)]) == len(NOISE))
        code, _, err = recorder.stop()
        noisy.shutdown()
        thread.join()
    assert code == 0
    assert "unreadable" in err
    assert "Traceback" not in err
    kept = [row.data for row in rows(tmp_path / "recording") if row.kind in (FRAME, REPLY)]
    assert kept == [text.encode() if isinstance(text, str) else text for text in NOISE]
    assert Recording(tmp_path / "recording").check().problems == []
