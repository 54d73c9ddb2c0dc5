"""Log lines: what a running server writes at each level, and that no value can break a line."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contract.support import PERPETUAL, STREAM, Server, until
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tickwire.service.logs import format_line

FIELDS = st.dictionaries(st.from_regex(r"[a-z_]{1,10}", fullmatch=True), st.one_of(st.text(), st.integers()))


class Logging(Server):
    """A server that is expected to write to stderr."""

    def __init__(self, directory: Path, *flags: str) -> None:
        self.read = ""
        super().__init__(directory, "--no-market", *flags)

    def stderr(self) -> str:
        text = super().stderr()
        return text.removeprefix(self.read)

    def lines(self, enough: Callable[[list[str]], bool]) -> list[str]:
        """What was written until it is enough; it is then no complaint at the end."""
        until(lambda: enough(super(Logging, self).stderr().splitlines()))
        self.read = super().stderr()
        return self.read.splitlines()


def refuse(server: Server, **headers: str) -> None:
    with pytest.raises(InvalidStatus), connect(server.stream_url, additional_headers=headers):
        pass


def test_nothing_is_written_at_the_default_level(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--no-market") as server:
        with server.demo.stream(f"ticker.{PERPETUAL}"):
            pass
        refuse(server)
        until(lambda: server.control("GET", "health")["sessions"] == 0)
    assert server.stderr() == ""


def test_one_line_says_why_a_stream_ended(tmp_path: Path) -> None:
    with Logging(tmp_path / "data", "--log-level", "info", "--log-format", "json") as server:
        account = server.key("alice")
        with account.stream(f"ticker.{PERPETUAL}", "account") as stream:
            server.control("DELETE", f"keys/{account.key}")
            until(lambda: server.control("GET", "health")["sessions"] == 0)
            stream.connection.close()
        with server.demo.stream():
            pass
        lines = [json.loads(line) for line in server.lines(lambda lines: len(lines) >= 2)]
    first, second = (line for line in lines if line["event"] == "stream closed")
    assert (first["level"], first["logger"], first["connection"]) == ("info", "tickwire.stream", 1)
    assert (first["name"], first["code"], first["key"], first["address"]) == (
        "key_revoked", 1008, account.key, "127.0.0.1",
    )  # fmt: skip
    assert (first["frames"], first["subscriptions"], first["conflated"]) == (3, 2, 0)
    assert first["bytes"] > 300
    assert first["seconds"] >= 0
    assert (second["connection"], second["name"], second["code"]) == (2, "by_client", 1000)
    assert not any(account.secret in json.dumps(line) for line in lines)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["time"]) for line in lines)


def test_opening_is_told_at_debug_and_text_is_easy_to_read(tmp_path: Path) -> None:
    with Logging(tmp_path / "data", "--log-level", "debug") as server:
        with server.demo.stream():
            pass
        lines = server.lines(lambda lines: sum("stream" in line for line in lines) >= 2)
    opened, closed = (line for line in lines if " tickwire.stream " in line)
    assert re.fullmatch(
        rf"\S+Z DEBUG tickwire\.stream stream opened connection=1 key={server.demo.key} account=demo"
        r" address=127\.0\.0\.1 deflate=true",
        opened,
    )
    assert " INFO tickwire.stream stream closed connection=1 name=by_client code=1000 seconds=0." in closed


def test_a_flood_of_refusals_writes_a_few_lines(tmp_path: Path) -> None:
    with Logging(tmp_path / "data", "--log-level", "info", "--upgrade-burst", "5") as server:
        for _ in range(40):
            refuse(server, **server.demo.headers("GET", STREAM, expires="1"))
        lines = [line for line in server.lines(lambda lines: len(lines) >= 20) if "handshake refused" in line]
    assert 20 <= len(lines) < 30
    assert lines[0].endswith("code=api.unauthorized address=127.0.0.1")
    assert "code=TooManyRequests address=127.0.0.1 limit=upgrades_per_minute" in lines[-1]


def test_a_connection_that_is_refused_is_told_too(tmp_path: Path) -> None:
    with Logging(tmp_path / "data", "--log-level", "info", "--connections", "1") as server:
        server.control("GET", "health")  # on a connection that stays open
        reply = httpx.get(f"{server.url}/_tickwire/health")
        assert (reply.status_code, reply.json()["error"]) == (503, "Overloaded")
        (line,) = server.lines(lambda lines: len(lines) >= 1)
    assert line.endswith(" tickwire.stream connection refused code=Overloaded address=127.0.0.1 limit=connections")


@given(FIELDS, st.text(), st.one_of(st.none(), st.text(min_size=1)))
def test_a_json_line_is_one_line_with_everything(fields: dict[str, Any], event: str, exception: str | None) -> None:
    line = format_line("json", 1_765_975_842.5, "info", "tickwire", event, fields, exception)
    assert "\n" not in line
    read = json.loads(line)
    assert read["time"] == fields.get("time", "2025-12-17T12:50:42.500000Z")
    assert {name: read[name] for name in fields if name != "exception"} == {
        name: value for name, value in fields.items() if name != "exception"
    }


@given(FIELDS)
def test_a_text_line_can_be_taken_apart_again(fields: dict[str, Any]) -> None:
    line = format_line("text", 1_765_975_842.5, "info", "tickwire", "something happened", fields)
    assert "\n" not in line
    rest = line.removeprefix("2025-12-17T12:50:42.500000Z INFO tickwire something happened")
    found = re.findall(r' ([a-z_]+)=("(?:[^"\\]|\\.)*"|[^ "]+)', rest)
    assert "".join(f" {name}={value}" for name, value in found) == rest
    for name, value in found:
        assert str(fields[name]) == (json.loads(value) if value.startswith('"') else value)


def test_an_exception_follows_a_text_line() -> None:
    assert format_line("text", 0, "error", "a", "b", {}, "Traceback\n  more") == (
        "1970-01-01T00:00:00.000000Z ERROR a b\nTraceback\n  more"
    )
