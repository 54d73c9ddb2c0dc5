"""`tickwire bench` against a running server."""

import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.contract.support import PERPETUAL, Server, environment, tickwire

TOPICS = f"ticker.{PERPETUAL},orderbook.{PERPETUAL},orderbook.delta.{PERPETUAL}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("bench") / "data", "--no-limits", "--symbols", PERPETUAL) as server:
        yield server


def credentials(server: Server, **replaced: str) -> dict[str, str]:
    return {
        "TICKWIRE_URL": server.stream_url, "TICKWIRE_API_KEY": server.demo.key,
        "TICKWIRE_API_SECRET": server.demo.secret,
    } | replaced  # fmt: skip


def bench(server: Server, tmp_path: Path, *arguments: str, **replaced: str) -> subprocess.CompletedProcess[str]:
    return tickwire("bench", *arguments, home=tmp_path, cwd=tmp_path, **credentials(server, **replaced))


def measured(server: Server, tmp_path: Path, *arguments: str) -> dict[str, Any]:
    result = bench(server, tmp_path, "--json", *arguments)
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def refused(server: Server, tmp_path: Path, *arguments: str, **replaced: str) -> str:
    result = bench(server, tmp_path, *arguments, **replaced)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("tickwire bench: ")
    assert len(result.stderr.splitlines()) == 1, result.stderr
    return result.stderr


def test_many_readers_in_two_processes(server: Server, tmp_path: Path) -> None:
    found = measured(server, tmp_path, "--readers", "30", "--processes", "2", "--seconds", "2", "--topics", TOPICS)
    assert (found["readers"], found["processes"], found["errors"]) == (30, 2, {})
    assert found["handshake"]["count"] == 30
    assert found["handshakesPerSecond"] > 0
    assert found["frames"] >= 30 * 3
    assert found["framesPerSecond"] == pytest.approx(found["frames"] / found["seconds"], rel=0.5)
    latency = found["latency"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p99.9"] <= latency["max"]
    # All have the same topics on the same machine.
    assert found["fairness"] > 0.9
    assert found["slowestReader"] <= 1 <= found["fastestReader"]
    assert (found["gaps"], found["outOfOrder"], found["withoutSnapshot"], found["unreadable"]) == (0, 0, 0, 0)
    assert abs(found["clockOffsetMs"]) < 1000
    assert "orderToFrame" in found
    assert found["orderToFrame"] is None


def test_a_text_for_people_with_progress_beside_it(server: Server, tmp_path: Path) -> None:
    result = bench(server, tmp_path, "--readers", "2", "--seconds", "2.5")
    assert result.returncode == 0, result.stderr
    names = [line.partition(" ")[0] for line in result.stdout.splitlines()]
    assert names == [
        "stream", "readers", "handshakes", "frames", "fairness", "latency", "clock", "sequence", "errors", "load",
    ]  # fmt: skip
    assert "2 of 2 subscribed, 2 of 2 topics each, in 1 process\n" in result.stdout
    assert "errors      none" in result.stdout
    assert "frames/s" in result.stderr


def test_orders_are_timed_and_leave_nothing_behind(server: Server, tmp_path: Path) -> None:
    found = measured(server, tmp_path, "--readers", "1", "--seconds", "1.5", "--orders", "10")
    assert found["orderErrors"] == {}
    assert found["ordersLeftOpen"] == []
    assert found["orderToFrame"]["count"] == found["orderToReply"]["count"] >= 5
    assert found["orderToFrame"]["p50"] > 0
    assert server.demo.open_orders() == []
    assert server.demo.position() is None


def test_readers_take_turns_of_topics(server: Server, tmp_path: Path) -> None:
    arguments = ("--readers", "6", "--seconds", "1", "--topics", TOPICS, "--topics-per-reader", "1")
    found = measured(server, tmp_path, *arguments, "--connect-rate", "20")
    assert (found["readers"], found["topicsPerReader"], found["errors"]) == (6, 1, {})
    # One reader of each topic connects in a twentieth of a second.
    assert found["handshakesPerSecond"] < 30


def test_ctrl_c_prints_what_there_is(server: Server, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tickwire.cli", "bench", "--seconds", "60", "--readers", "4", "--processes", "2"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=environment(tmp_path) | credentials(server),
    ) as process:  # fmt: skip
        assert process.stderr is not None
        while "frames/s" not in process.stderr.readline():
            assert process.poll() is None
        # As a terminal does it: to the whole group, the readers' processes too.
        os.killpg(process.pid, signal.SIGINT)
        printed, complained = process.communicate(timeout=30)
    assert process.returncode == 0, complained
    assert "interrupted" in printed
    assert "4 of 4 subscribed" in printed
    assert "Traceback" not in complained


def test_ctrl_c_while_readers_connect_tells_of_those_that_have(server: Server, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tickwire.cli", "bench", "--readers", "600", "--connect-rate", "10", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=environment(tmp_path) | credentials(server),
    ) as process:  # fmt: skip
        assert process.stderr is not None
        while (line := process.stderr.readline()).startswith("0 of 600 streams are open"):
            assert process.poll() is None
        assert "of 600 streams are open" in line
        os.killpg(process.pid, signal.SIGINT)
        printed, complained = process.communicate(timeout=30)
    assert process.returncode == 0, complained
    found = json.loads(printed)
    assert 0 < found["handshake"]["count"] < 600
    assert (found["interrupted"], found["readers"], found["readersWanted"]) == (True, 0, 600)


def test_what_the_server_refuses_is_said_in_one_line(server: Server, tmp_path: Path) -> None:
    unknown = refused(server, tmp_path, TICKWIRE_API_KEY="no-such-key")
    assert "refused the handshake: 401 api.invalidSession; the key is unknown or revoked" in unknown
    wrong = refused(server, tmp_path, TICKWIRE_API_SECRET="wrong")
    assert "401 api.unauthorized; check the secret" in wrong
    assert "InvalidSymbol" in refused(server, tmp_path, "--topics", "ticker.NONE")
    account = server.key("reader", scopes=["read"])
    read_only = {"TICKWIRE_API_KEY": account.key, "TICKWIRE_API_SECRET": account.secret}
    found = json.loads(bench(server, tmp_path, "--json", "--seconds", "1", "--orders", "5", **read_only).stdout)
    assert found["orderErrors"].keys() == {"POST order: Forbidden"}
    assert found["orderToFrame"]["count"] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--topics", "nothing"), "expected a topic such as"),
        (("--topics", ","), "--topics: expected a topic"),
        (("--readers", "0"), "--readers: expected at least 1, got 0"),
        (("--seconds", "0"), "--seconds: expected more than 0"),
        (("--orders", "-1"), "--orders: expected at least 0"),
        (("--orders", "1", "--topics", "account"), "--symbol: expected a symbol"),
        (("--orders", "1", "--symbol", "NONE"), "400 InvalidSymbol"),
        (("--url", "ws://127.0.0.1:9"), "can't reach ws://127.0.0.1:9/api/v1/stream"),
    ],
)
def test_bad_arguments(server: Server, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    assert words in refused(server, tmp_path, *arguments)


def test_wss(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    flags = ("--no-limits", "--symbols", PERPETUAL)
    flags += ("--tls-cert", str(tmp_path / "server.pem"), "--tls-key", str(tmp_path / "server.pem"))
    trust = ssl.create_default_context(cafile=tmp_path / "authority.pem")
    with Server(tmp_path / "data", *flags, verify=trust) as server:
        assert server.stream_url.startswith("wss://")
        assert "name its file in SSL_CERT_FILE" in refused(server, tmp_path)
        arguments = ("bench", "--json", "--readers", "3", "--seconds", "1.5", "--orders", "5")
        told = credentials(server, SSL_CERT_FILE=str(tmp_path / "authority.pem"))
        named = tickwire(*arguments, home=tmp_path, cwd=tmp_path, **told)
        # Beside the server it is found, and its certificate with it.
        found = tickwire(*arguments, "--url", server.url, home=tmp_path, cwd=tmp_path)
    for result in (named, found):
        assert result.returncode == 0, result.stderr
        report = json.loads(result.stdout)
        assert (report["readers"], report["errors"], report["orderErrors"]) == (3, {}, {})
        assert report["frames"] > 0


def test_limits_of_the_server_are_counted_by_code(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--no-market", "--sockets-per-key", "3") as server:
        found = measured(server, tmp_path, "--readers", "5", "--seconds", "0.5", "--topics", f"ticker.{PERPETUAL}")
    assert found["readers"] == 3
    assert found["errors"] == {"handshake 429 TooManyRequests": 2}
    # Nobody trades there.
    assert (found["frames"], found["latency"]["count"], found["fairness"]) == (0, 0, 1.0)


def test_a_server_that_stops_is_counted_and_does_not_hang(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--no-market") as server:
        command = [sys.executable, "-m", "tickwire.cli", "bench", "--seconds", "4", "--readers", "2", "--json"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment(tmp_path) | credentials(server),
        ) as process:  # fmt: skip
            assert process.stderr is not None
            while "frames/s" not in process.stderr.readline():
                assert process.poll() is None
            server.stop()
            printed, complained = process.communicate(timeout=30)
    assert process.returncode == 0, complained
    assert json.loads(printed)["errors"] == {"closed 1001 server stopping": 2}
