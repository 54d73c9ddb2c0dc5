"""Writing and reading recordings: what goes in comes out, whatever happens to writer and files in between."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tickwire.record.format import (
    CONNECTED,
    FRAME,
    LOST,
    REPLY,
    STATE,
    Header,
    RecordingError,
    Row,
    arrow,
    schema,
)
from tickwire.record.reader import Gap, Recording
from tickwire.record.writer import RecordingWriter

HEADER = Header(1, "0.0", "ws://localhost/api/v1/stream", ("ticker.BTCUSDT.PERP",), 1_765_975_842_000_000_000)
START = HEADER.started
SECOND = 1_000_000_000
TOPIC = "ticker.BTCUSDT.PERP"


def frame(number: int, size: int = 20) -> Row:
    return Row(START + number * SECOND, FRAME, 1, TOPIC, b"%0*d" % (size, number))


def write(directory: Path, rows: list[Row], **more: int) -> None:
    with RecordingWriter(directory, HEADER, **more) as writer:
        for row in rows:
            writer.append(*row)


def read(directory: Path, start: int | None = None) -> list[Row]:
    return list(Recording(directory).rows(start))


rows = st.lists(
    st.builds(
        Row,
        st.integers(0, 2**63 - 1),
        st.sampled_from((FRAME, REPLY, LOST, CONNECTED)),
        st.integers(0, 2**31 - 1),
        st.text(max_size=20).filter(lambda text: text.isprintable()),
        st.binary(max_size=200),
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=rows, size=st.integers(1, 2_000), every=st.integers(1, 2**62), cut=st.integers(0, 60))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, written: list[Row], size: int, every: int, cut: int
) -> None:
    directory = tmp_path_factory.mktemp("recording")
    write(directory, written[:cut], rotate_size=size, rotate_every=every)
    write(directory, written[cut:], rotate_size=size, rotate_every=every)
    recording = Recording(directory)
    assert list(recording.rows()) == written
    report = recording.check()
    assert (report.problems, report.rows) == ([], len(written))
    start = written[len(written) // 2].received
    # Those from a time on are there, in their order, whatever the clock did.
    assert list(recording.rows(start))[-len(written) :] == [row for row in written if row.received >= start]


def test_an_unfinished_file_is_read_too(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path, HEADER, rotate_size=200) as writer:
        for number in range(25):
            writer.append(*frame(number))
        writer.flush()
        assert read(tmp_path) == [frame(number) for number in range(25)]
        assert [path.suffix for path in Recording(tmp_path).paths()][-1] == ".arrows"
    assert {path.suffix for path in Recording(tmp_path).paths()} == {".parquet"}
    assert read(tmp_path) == [frame(number) for number in range(25)]


def test_a_new_file_begins_with_the_state(tmp_path: Path) -> None:
    def state(received: int) -> list[Row]:
        return [Row(received, STATE, 0, TOPIC, b"the state")]

    with RecordingWriter(tmp_path, HEADER, rotate_every=10 * SECOND, checkpoint=state) as writer:
        for number in range(25):
            writer.append(*frame(number))
    recording = Recording(tmp_path)
    assert [row.received for row in recording.rows() if row.kind == STATE] == [
        START,
        START + 10 * SECOND,
        START + 20 * SECOND,
    ]
    middle = [row for batch in recording.batches(START + 15 * SECOND, whole_file=True) for row in batch]
    assert (middle[0].kind, middle[1]) == (STATE, frame(10))
    assert recording.check().rows == 25


def test_times_of_ns_are_kept_and_sought(tmp_path: Path) -> None:
    write(tmp_path, [Row(START + number, FRAME, 1, TOPIC, b"") for number in range(3)])
    assert [row.received for row in read(tmp_path, START + 2)] == [START + 2]
    (summary,) = [Recording(tmp_path).summary(path) for path in Recording(tmp_path).paths()]
    assert (summary.rows, summary.first, summary.last) == (3, START, START + 2)


def test_other_tools_see_plain_parquet(tmp_path: Path) -> None:
    write(tmp_path, [frame(1), frame(2)])
    (path,) = Recording(tmp_path).paths()
    table = pyarrow.parquet.read_table(path)
    assert table.column_names == ["received", "kind", "connection", "topic", "data"]
    assert str(table.schema.field("received").type) == "timestamp[ns, tz=UTC]"
    assert table["data"].to_pylist() == [frame(1).data, frame(2).data]


def test_gaps_are_told(tmp_path: Path) -> None:
    events = [
        Row(START, CONNECTED, 1, "", b"ws://a"),
        frame(1),
        Row(START + 2 * SECOND, LOST, 1, "", b"1006 gone"),
        Row(START + 5 * SECOND, CONNECTED, 2, "", b"ws://a"),
        Row(START + 9 * SECOND, LOST, 2, "", b"stopped"),
    ]
    write(tmp_path, events)
    assert Recording(tmp_path).check().gaps == [
        Gap(START + 2 * SECOND, START + 5 * SECOND, "1006 gone"),
        Gap(START + 9 * SECOND, None, "stopped"),
    ]
    with RecordingWriter(tmp_path, HEADER) as writer:
        assert writer.last_connection == 2


KILLED = """
import sys, time
from pathlib import Path
from tickwire.record.writer import RecordingWriter
from tests.record.test_writer import HEADER, frame
writer = RecordingWriter(Path(sys.argv[1]), HEADER, rotate_size=5_000)
for number in range(10**9):
    writer.append(*frame(number))
    if number % 10 == 0:
        writer.flush()
        print(number, flush=True)
"""


def test_nothing_that_was_flushed_is_lost_by_a_kill(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, os.environ.get("PYTHONPATH", "")])}
    directory = tmp_path / "recording"
    for turn in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, str(directory)], stdout=subprocess.PIPE, text=True, env=environment
        ) as process:
            assert process.stdout is not None
            flushed = 0
            while flushed < 300 * (turn + 1):
                flushed = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            flushed = ([flushed] + [int(line) for line in process.stdout.read().splitlines()[:-1]])[-1]
        found = read(directory)
        assert found[-1].kind == FRAME
        last = max(place for place, row in enumerate(found) if row == frame(0))
        assert found[last:] == [frame(number) for number in range(len(found) - last)]
        assert len(found) - last > flushed
        assert Recording(directory).check().problems == []
    # The next writer finishes it, and says so.
    before = read(directory)
    with RecordingWriter(directory, HEADER) as writer:
        writer.append(*frame(1))
    after = read(directory)
    assert after[: len(before)] == before
    assert [row.kind for row in after[len(before) :]] == [LOST, FRAME]
    assert b"without closing" in after[len(before)].data
    assert {path.suffix for path in directory.iterdir() if path.name.startswith("tickwire-")} == {".parquet"}


@pytest.mark.parametrize("cut", [0, 1, 100, 600, 5_000, 20_000, -1, -9])
def test_an_unfinished_file_is_read_up_to_its_cut(tmp_path: Path, cut: int) -> None:
    source = tmp_path / "source"
    with RecordingWriter(source, HEADER) as writer:
        for number in range(200):
            writer.append(*frame(number, 500))
            writer.flush()
        (path,) = Recording(source).paths()
        data = path.read_bytes()
    directory = tmp_path / "cut"
    directory.mkdir()
    (directory / path.name).write_bytes(data[:cut])
    found = read(directory)
    assert found == [frame(number, 500) for number in range(len(found))]
    assert (len(found) > 0) == (cut not in (0, 1, 100, 600))
    with RecordingWriter(directory, HEADER) as writer:
        writer.append(*frame(300))
    assert [row for row in read(directory) if row.kind == FRAME] == [*found, frame(300)]


def test_zeros_behind_the_last_batch_as_a_power_cut_leaves_them(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / "source", HEADER) as writer:
        writer.append(*frame(1))
        writer.flush()
        (path,) = Recording(tmp_path / "source").paths()
        data = path.read_bytes()
    for tail in (bytes(5_000), b"\xff" * 5_000, os.urandom(5_000)):
        (tmp_path / path.name).write_bytes(data + tail)
        assert read(tmp_path) == [frame(1)]


@pytest.mark.parametrize("place", [0.01, 0.3, 0.6, 0.9, -3])
def test_a_damaged_file_is_named(tmp_path: Path, place: float) -> None:
    noise = Random(1).randbytes
    write(tmp_path, [frame(number)._replace(data=noise(2_000)) for number in range(300)], rotate_size=200_000)
    paths = Recording(tmp_path).paths()
    path = paths[1]
    data = bytearray(path.read_bytes())
    at = int(place * len(data)) if place >= 0 else int(place)
    for offset in range(3):
        data[at + offset if at >= 0 else at + offset - 1] ^= 0xFF
    path.write_bytes(data)
    report = Recording(tmp_path).check()
    assert len(report.problems) == 1
    assert str(path) in report.problems[0]
    assert report.rows >= 200


def test_a_cut_file_and_a_missing_one_are_named(tmp_path: Path) -> None:
    write(tmp_path, [frame(number, 2_000) for number in range(300)], rotate_size=200_000)
    _, second, third = Recording(tmp_path).paths()
    third.write_bytes(third.read_bytes()[:1_000])
    second.unlink()
    with pytest.raises(RecordingError, match=f"{third.name}: expected a whole file of a recording"):
        read(tmp_path)
    assert [("number 2" in problem, str(third) in problem) for problem in Recording(tmp_path).check().problems] == [
        (False, True),
        (True, False),
    ]
    # A damaged file keeps nobody from recording on.
    write(tmp_path, [frame(1)])
    assert len(Recording(tmp_path).paths()) == 3


@pytest.mark.parametrize("name", ["tickwire-00000001.parquet", "tickwire-00000001.arrows"])
def test_another_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"something else " * 1_000)
    with pytest.raises(RecordingError, match=name):
        Recording(tmp_path)
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), tmp_path / "tickwire-00000001.parquet")
    with pytest.raises(RecordingError, match=r"expected a file of a tickwire recording"):
        Recording(tmp_path)


def test_a_format_of_the_future_is_refused(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(
        schema(Header(2, "9.9", "", (), 0)).empty_table(), tmp_path / "tickwire-00000001.parquet"
    )
    with pytest.raises(RecordingError, match="expected format 1, got 2"):
        Recording(tmp_path)


def test_directories_without_a_recording(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="without any of its files"):
        Recording(tmp_path)
    with pytest.raises(RecordingError, match="can't be read"):
        Recording(tmp_path / "none")


def test_one_writer_a_directory(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path, HEADER), pytest.raises(RecordingError, match="another recorder"):
        RecordingWriter(tmp_path, HEADER)
    RecordingWriter(tmp_path, HEADER).close()


FULL = """
import resource, signal, sys
from pathlib import Path
from tickwire.record.format import RecordingError
from tickwire.record.writer import RecordingWriter
from tests.record.test_writer import HEADER, frame
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit then fails as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    with RecordingWriter(Path(sys.argv[1]), HEADER) as writer:
        for number in range(10_000):
            writer.append(*frame(number))
            writer.flush()
except RecordingError as error:
    print(error)
"""


def test_a_full_disk_is_said_and_what_was_written_before_is_there(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", FULL, str(tmp_path / "recording")]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (result.returncode, result.stderr) == (0, "")
    assert re.search(r"tickwire-00000001.arrows: can't be written: .*File too large", result.stdout)
    found = read(tmp_path / "recording")
    assert len(found) > 20
    assert found == [frame(number) for number in range(len(found))]


def test_a_recording_that_grows_is_read_while_it_does(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path, HEADER, rotate_size=10_000) as writer:
        for number in range(3_000):
            writer.append(*frame(number))
            if number % 500 == 0:
                writer.flush()
                found = [row for batch in Recording(tmp_path).batches() for row in batch]
                assert found == [frame(place) for place in range(number + 1)]
                time.sleep(0)


def test_without_pyarrow_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "recording", [frame(1)])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    arrow.cache_clear()
    try:
        for use in (lambda: RecordingWriter(tmp_path / "new", HEADER), lambda: Recording(tmp_path / "recording")):
            with pytest.raises(RecordingError, match=r"recordings need pyarrow.* pip install 'tickwire\[parquet\]'"):
                use()
    finally:
        arrow.cache_clear()
    assert not (tmp_path / "new").exists()
