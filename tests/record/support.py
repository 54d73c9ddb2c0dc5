"""Recorders and replays as processes, and a plain fold of frames to compare with."""

import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import httpx
from tests.contract.support import PATIENCE, Account, Server, environment, tickwire

from tickwire.record.format import FRAME, RecordingError, Row
from tickwire.record.reader import Recording

SYMBOL = "BTCUSDT.PERP"
TOPICS = [
    f"ticker.{SYMBOL}",
    "ticker.BTCUSDT",
    f"orderbook.{SYMBOL}",
    f"orderbook.delta.{SYMBOL}",
    f"kline.1.{SYMBOL}",
    "kline.1D.BTCUSDT",
    "account",
    "account.margin",
    "account.balance",
    "account.position",
    "account.order",
    "account.execution",
]


class Recorder:
    """One `tickwire record` of `topics` from `server` into `directory`."""

    def __init__(self, server: Server, directory: Path, *flags: str, topics: list[str] = TOPICS) -> None:
        self.directory = directory
        self.before = len(frames(directory)) if directory.exists() else 0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tickwire.cli", "record", *topics, "--to", str(directory), *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(directory.parent)
            | {
                "TICKWIRE_URL": server.url,
                "TICKWIRE_API_KEY": server.demo.key,
                "TICKWIRE_API_SECRET": server.demo.secret,
            },
        )

    def until(self, count: int) -> None:
        """Wait until so many new frames can be read."""
        deadline = time.monotonic() + PATIENCE
        while len(frames(self.directory)) - self.before < count:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline, f"still only {len(frames(self.directory)) - self.before} frames"
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str, str]:
        """End it: exit code and output."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err


class Serving:
    """One command that serves as an exchange does, ready once this is made."""

    def __init__(self, *arguments: str, home: Path, verify: ssl.SSLContext | bool = True) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tickwire.cli", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(home),
        )
        assert self.process.stdout is not None
        self.banner = ""
        for line in self.process.stdout:
            self.banner += line
            if "Ctrl-C stops it" in line:
                break
        else:
            raise AssertionError(f"the command has not started: {self.banner} {self.process.communicate()}")
        found = re.search(r"REST +(\S+)/api/v1\n.*key +(\S+)\n +secret +(\S+)\n", self.banner, re.DOTALL)
        assert found is not None, self.banner
        self.url, key, secret = found.groups()
        self.stream_url = self.url.replace("http", "ws", 1) + "/api/v1/stream"
        self.http = httpx.Client(base_url=self.url, timeout=PATIENCE, verify=verify)
        self.demo = Account(self, key, secret, "demo")  # type: ignore[arg-type]  # needs no more than this

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get("/_tickwire/health").json()
        return found

    def stop(self) -> tuple[int, str]:
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        _, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, err

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        code, err = self.stop()
        if kind is None:
            assert (code, err) == (0, ""), err


class Replay(Serving):
    """One `tickwire replay`."""

    def __init__(self, directory: Path, *flags: str, home: Path) -> None:
        super().__init__("replay", str(directory), "--port", "0", *flags, home=home)

    def played(self, count: int, *topics: str) -> list[bytes]:
        """Subscribe to topics, and take so many data frames."""
        with self.demo.stream() as stream:
            stream.send(*topics, op="subscribe")
            reply = stream.receive()
            assert reply["success"], reply
            return [message(stream) for _ in range(count)]


class Relay(Serving):
    """One `tickwire relay` of the account `owner`, from a server at `upstream` (else the account's own)."""

    def __init__(
        self,
        owner: Account,
        *flags: str,
        home: Path,
        upstream: str = "",
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        key = ("--upstream-key", owner.key, "--upstream-secret", owner.secret)
        data = home / "relay"
        super().__init__(
            "relay",
            "--upstream",
            upstream or owner.server.url,
            *key,
            "--port",
            "0",
            "--data",
            str(data),
            *flags,
            home=home,
            verify=verify,
        )
        made = tickwire("key", "create", "--account", "upstream", "--data", str(data), "--json", home=home)
        assert made.returncode == 0, made.stderr
        found = json.loads(made.stdout)
        self.bound = Account(self, found["key"], found["secret"], "upstream")  # type: ignore[arg-type]


def message(stream: Any) -> bytes:
    """The next message as it came."""
    text = stream.connection.recv(PATIENCE)
    assert isinstance(text, str)
    return text.encode()


def rows(directory: Path) -> list[Row]:
    """What can be read now; nothing of a directory without a recording."""
    try:
        return list(Recording(directory).rows())
    except RecordingError:
        return []


def frames(directory: Path) -> list[bytes]:
    return [row.data for row in rows(directory) if row.kind == FRAME]


class Fold:
    """The state of every topic, folded as the contract says it and with no thought of speed."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def apply(self, data: bytes) -> None:
        frame = json.loads(data)
        topic = frame["topic"]
        for part in frame["data"]:
            known = self.state.get(topic) if part["actionType"] == "UPDATE" else None
            self.state[topic] = self._fold(topic, known, part["rows"])

    @staticmethod
    def _fold(topic: str, known: Any, rows: list[Any]) -> Any:
        if topic.startswith("ticker."):
            for row in rows:
                known = {**(known or {}), **row}
            return known
        if topic.startswith("orderbook."):
            (row,) = rows
            sides = known or {"bids": {}, "asks": {}}
            for side in ("bids", "asks"):
                for price, size in row[side]:
                    sides[side].pop(Decimal(price), None)
                    if Decimal(size):
                        sides[side][Decimal(price)] = [price, size]
            return sides | {"seq": row.get("seq")}
        if topic.startswith("kline.") or topic == "account":
            return rows[-1] if rows else known
        if topic == "account.execution":
            return []
        name = {"account.margin": "currency", "account.balance": "asset", "account.position": "symbol"}
        found = {**(known or {}), **{row[name.get(topic, "orderId")]: row for row in rows}}
        if topic == "account.order":
            found = {key: row for key, row in found.items() if row["status"] in ("NEW", "PARTIALLY_FILLED")}
        return found


def state_after(data: list[bytes]) -> dict[str, Any]:
    fold = Fold()
    for frame in data:
        fold.apply(frame)
    return fold.state


def python_path() -> dict[str, str]:
    """The environment of a Python of one's own that finds the tests."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, os.environ.get("PYTHONPATH", "")])}
