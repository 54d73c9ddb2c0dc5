"""A real server, started as a user starts it, for the examples of the documents."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs.support import Server

from tickwire.service.discovery import read_info

SOURCES = Path(__file__).parents[2] / "src"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("home")
    data = home / "tickwire-data"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TICKWIRE_")}
    # The examples run in directories of their own, where a relative PYTHONPATH would lead nowhere.
    environment |= {"XDG_CACHE_HOME": str(home / "cache"), "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(SOURCES)}
    command = [sys.executable, "-m", "tickwire.cli", "serve", "--port", "0", "--data", str(data)]
    command += [
        "--demo-key",
        "tutorial-key",
        "--demo-secret",
        "tutorial-secret",
        "--symbols",
        "BTCUSDT.PERP,ETHUSDT.PERP,BTCUSDT",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            printed = ""
            for line in process.stdout:
                printed += line
                if line.startswith("Ctrl-C"):
                    break
            info = read_info(data / "server.json")
            assert info is not None, printed
            assert info.url in printed
            environment |= {
                "TICKWIRE_URL": info.url,
                "TICKWIRE_API_KEY": info.demo_key,
                "TICKWIRE_API_SECRET": info.demo_secret,
            }
            yield Server(info.url, environment, data)
        finally:
            process.send_signal(signal.SIGINT)
            process.stdout.read()
            assert process.wait(30) == 0
