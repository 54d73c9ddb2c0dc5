"""One recording of a server that was traded on, for all tests that only read it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.contract.support import Server
from tests.record.support import TOPICS, Recorder, frames, message


class Recorded(NamedTuple):
    directory: Path
    live: list[bytes]  # what another subscriber of the same topics was sent meanwhile
    everything: dict[str, Any]  # what REST showed of the account at the end


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    home = tmp_path_factory.mktemp("recorded")
    directory = home / "recording"
    with Server(home / "data", "--symbols", "BTCUSDT.PERP,BTCUSDT") as server:
        demo = server.demo
        with demo.stream(*TOPICS) as stream:
            recorder = Recorder(server, directory, "--rotate-every", "700ms", "--rest")
            recorder.until(len(TOPICS) + 1)
            for _ in range(2):
                before = len(frames(directory))
                demo.buy("0.05")
                resting = demo.buy("0.01", "60000")
                demo.sell("0.02")
                if before > 100:
                    demo.cancel(resting)
                recorder.until(before + 150 - recorder.before)
            code, out, err = recorder.stop()
            assert (code, "frames, 1 gaps" in out or "frames, 0 gaps" in out) == (0, True), err
            recorded_frames = frames(directory)
            live = []
            while not live or live[-1] != recorded_frames[-1]:
                live.append(message(stream))
        yield Recorded(directory, live, demo.everything())
