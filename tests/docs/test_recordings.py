"""The pages on recordings: what they say of files, flags and commands is so."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pyarrow
import pytest
from tests.contract.support import Server, tickwire
from tests.record import samples
from tests.record.support import Recorder, Replay

from tickwire.record import format as recording_format
from tickwire.record.format import FORMAT, Header, file_name, schema
from tickwire.record.reader import Recording

DOCS = Path(__file__).parents[2] / "docs"
FORMAT_PAGE = (DOCS / "reference" / "recording-format.md").read_text()
REPLAY_PAGE = (DOCS / "how-to" / "record-and-replay.md").read_text()
IMPORT_PAGE = (DOCS / "how-to" / "import-history.md").read_text()


def first_cells(page: str, header: str) -> list[str]:
    """The names in the first column of the table with this header."""
    (table,) = re.findall(rf"^\| {header} \|.*\n\| ---.*\n((?:\|.*\n)+)", page, re.MULTILINE)
    return re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)


def test_the_page_of_the_format_names_what_there_is() -> None:
    header = Header(FORMAT, "", "", (), 0)
    assert first_cells(FORMAT_PAGE, "column") == schema(header).names
    assert first_cells(FORMAT_PAGE, "field") == [field.name for field in msgspec.structs.fields(Header)]
    kinds = (recording_format.FRAME, recording_format.REPLY, recording_format.CONNECTED, recording_format.LOST,
             recording_format.REST, recording_format.STATE)  # fmt: skip
    assert first_cells(FORMAT_PAGE, "kind") == list(kinds)
    assert first_cells(FORMAT_PAGE, "name") == [
        file_name(1, recording_format.FINISHED),
        file_name(2, recording_format.UNFINISHED),
        file_name(2, recording_format.ASIDE),
        recording_format.LOCK,
    ]
    assert f"Format {FORMAT}." in FORMAT_PAGE


def test_what_the_pages_paste_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = re.search(r"^tickwire record (.*) --to recording --duration 1h$", REPLAY_PAGE, re.MULTILINE)
    assert record is not None
    with Server(tmp_path / "data", "--symbols", "BTCUSDT.PERP") as server:
        recorder = Recorder(server, tmp_path / "recording", topics=record[1].split())
        recorder.until(20)
        assert recorder.stop()[0] == 0
    assert tickwire("replay", "recording", "--check", home=tmp_path, cwd=tmp_path).stdout.endswith("recording: good\n")
    # The example for Python, in the directory of the recording.
    (example,) = re.findall(r"```python\n(.*?)```", FORMAT_PAGE, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(example, names)
    assert names["frame"]["topic"] == names["topic"]
    assert isinstance(names["table"], pyarrow.Table)


def test_the_import_that_is_pasted(tmp_path: Path) -> None:
    samples.gzipped(tmp_path / "trades.csv.gz", samples.TRADES)
    samples.gzipped(tmp_path / "incremental_book_L2.csv.gz", samples.CHANGES)
    first, second = re.findall(r"^tickwire (.*)$", IMPORT_PAGE, re.MULTILINE)
    result = tickwire(*first.split(), home=tmp_path, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert second == "replay history --speed 60"
    with Replay(tmp_path / "history", "--speed", "60", home=tmp_path) as replay:
        assert replay.played(1, "orderbook.delta.BTCUSDT.PERP")
    assert Recording(tmp_path / "history").check().problems == []


@pytest.mark.parametrize(
    ("page", "commands"), [(REPLAY_PAGE, ("record", "replay", "key create")), (IMPORT_PAGE, ("import", "replay"))]
)
def test_every_flag_that_is_named_exists(page: str, commands: tuple[str, ...]) -> None:
    reference = (DOCS / "reference" / "commands.md").read_text()
    there: set[str] = set()
    for command in commands:
        section = reference.partition(f"\n## `tickwire {command}`\n")[2].partition("\n## ")[0]
        there.update(re.findall(r"--[a-z-]+", section))
    assert set(re.findall(r"--[a-z][a-z-]+", page)) <= there
