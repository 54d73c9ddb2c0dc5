"""The reference pages: they say what the code says, all of it, and a stale page is noticed."""

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tickwire import client
from tickwire.exchange.instrument_file import InstrumentFile, MarketProfile, TierFile
from tickwire.rest.application import endpoints
from tickwire.service.reference import commands
from tickwire.service.reference.catalogues import close_codes_page, errors_page, instruments_page, settings_page
from tickwire.service.reference.client import client_page
from tickwire.service.reference.commands import commands_page
from tickwire.service.reference.markdown import anchor, field_table, pretty, schemas_of, table
from tickwire.service.reference.pages import PAGES, main, stale_pages, write_pages
from tickwire.service.reference.rest import rest_page
from tickwire.service.reference.topics import topic_refusal, topics_page
from tickwire.service.settings import describe
from tickwire.wire import rows
from tickwire.wire.closes import CLOSES
from tickwire.wire.errors import ERRORS
from tickwire.wire.topics import TopicKind, parse_topic

COMMITTED = Path(__file__).parents[2] / "docs" / "reference"
PYTHON = [sys.executable, "-m", "tickwire.service.reference"]


def test_the_committed_pages_say_what_the_code_says() -> None:
    run = subprocess.run([*PYTHON, "--check", str(COMMITTED)], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")


def test_a_changed_and_a_missing_page_are_stale(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "pages")]) == 0
    assert stale_pages(tmp_path / "pages") == []
    with (tmp_path / "pages" / "errors.md").open("a") as page:
        page.write("a word more\n")
    (tmp_path / "pages" / "topics.md").unlink()
    assert main(["--check", str(tmp_path / "pages")]) == 1
    assert "errors.md, topics.md" in capsys.readouterr().err
    assert not (tmp_path / "pages" / "topics.md").exists(), "--check writes nothing"
    write_pages(tmp_path / "pages")
    assert stale_pages(tmp_path / "pages") == []


@pytest.mark.parametrize("arguments", [[], ["--check"], ["a", "b"], ["--help"]])
def test_other_arguments_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage" in capsys.readouterr().err


def test_nothing_but_generated_pages_is_in_the_directory() -> None:
    # But for one, whose code the service knows nothing of; a test of its own holds it to that.
    assert {path.name for path in COMMITTED.iterdir()} == PAGES.keys() | {"recording-format.md"}


def test_all_of_the_client_is_there() -> None:
    page = client_page()
    for name in client.__all__:
        assert f"\n### {name}\n" in page
    for name, method in inspect.getmembers(client.RestClient, inspect.isfunction):
        assert name.startswith("_") or re.search(rf"^(await |async for row in )?{name}\(", page, re.MULTILINE), method
    assert "buffer: BufferPolicy=Queue(1000, 'drop_oldest')) -> Stream[Event]" in page
    assert "with_events() -> Stream[T | Event]" in page
    assert "await close() -> None" in page
    assert "self" not in re.findall(r"\((.*?)\)", page)


def test_every_error_and_close_code_is_there_once() -> None:
    errors, closes = errors_page(), close_codes_page()
    for code, entry in ERRORS.items():
        assert errors.count(f"| `{code}` | {entry.reason} |") == 1
    for close in CLOSES.values():
        assert closes.count(f"| {close.code} | `{close.reason}` |") == 1


def test_every_setting_is_there_once() -> None:
    page = settings_page()
    for setting in describe():
        assert len(re.findall(rf"^\| `{setting.flag}`", page, re.MULTILINE)) == 1


def test_every_topic_is_there_with_frames_that_can_be_decoded() -> None:
    page = topics_page()
    frames = [msgspec.json.decode(text) for text in re.findall(r"```json\n(\{\n.*?)```", page, re.DOTALL)]
    shown: dict[TopicKind, list[str]] = {}
    (positioned,) = [frame for frame in frames if list(frame) == ["topic", "ts", "data", "epoch", "offset"]]
    frames.remove(positioned)
    for frame in frames:
        assert list(frame) == ["topic", "ts", "data"]
        shown.setdefault(parse_topic(frame["topic"]).kind, []).append(frame["data"][0]["actionType"])
    assert shown.pop(TopicKind.ORDERBOOK) == ["SNAPSHOT"]
    assert shown == {kind: ["SNAPSHOT", "UPDATE"] for kind in TopicKind if kind is not TopicKind.ORDERBOOK}


def test_a_refusal_is_only_shown_of_what_is_refused() -> None:
    assert '"error":"InvalidTopic"' in topic_refusal("kline.7.BTCUSDT.PERP")
    with pytest.raises(ValueError, match="refused"):
        topic_refusal("ticker.BTCUSDT.PERP")


def test_every_endpoint_is_there_and_every_link_to_it_leads_somewhere() -> None:
    page = rest_page()
    titles = {anchor(title) for title in re.findall(r"^## (.*)$", page, re.MULTILINE)}
    links = re.findall(r"\]\(#(.*?)\)", page)
    assert set(links) <= titles
    for endpoint in endpoints():
        assert page.count(f"## `{endpoint.method} {endpoint.path}`\n") == 1
        assert anchor(f"{endpoint.method} {endpoint.path}") in links


def test_every_type_that_the_rest_page_names_is_explained_there() -> None:
    page = rest_page()
    named = set(re.findall(r"^Reply: .*?`(\w+)`", page, re.MULTILINE)) - {"Empty"}
    explained = set(re.findall(r"^## `(\w+)`$", page, re.MULTILINE))
    assert named
    assert named <= explained


def test_every_field_of_an_instrument_file_is_there() -> None:
    page = instruments_page()
    for struct in (InstrumentFile, MarketProfile, TierFile):
        for field in msgspec.structs.fields(struct):
            assert f"\n| `{field.encode_name}` |" in page


def test_every_command_is_there() -> None:
    page = commands_page()
    for words in ("tickwire", "tickwire serve", "tickwire watch", "tickwire key create", "tickwire config"):
        assert page.count(f"\n## `{words}`\n") == 1


def test_help_is_the_same_whatever_the_callers_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    commands_page()
    before = commands._help(("serve",))
    monkeypatch.setenv("TICKWIRE_PORT", "4711")
    monkeypatch.setenv("COLUMNS", "60")
    commands._help.cache_clear()
    assert commands._help(("serve",)) == before


def test_fields_show_their_types_in_words() -> None:
    shown = field_table(schemas_of([rows.Position])[1]["Position"])
    assert "| `leverage` | integer |" in shown
    assert "| `positionSide` | `LONG` `SHORT` or null |" in shown
    assert "| `boostExpiryTimestamp` | Timestamp or null |" in shown
    assert "| `buyableBoosts` | array of string |" in shown


def test_a_pipe_does_not_break_a_table() -> None:
    assert table(["a"], [["b|c"]]) == "| a |\n| --- |\n| b\\|c |\n"


@pytest.mark.parametrize("value", [{}, [], {"a": [1, {"b": "c" * 120}], "d": []}, ["x" * 60, "y" * 60]])
def test_pretty_json_is_the_same_json(value: Any) -> None:
    assert msgspec.json.decode(pretty(value)) == value
