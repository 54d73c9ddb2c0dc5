"""The conformance page: the tests and settings that it names exist."""

import re
from pathlib import Path

from tickwire.exchange.instrument_file import InstrumentFile
from tickwire.service.settings import describe

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "conformance.md").read_text()
ROWS = [
    [cell.strip() for cell in line.split("|")[1:-1]]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| point", "| ---"))
]


def test_every_point_has_a_mark_or_an_rfc() -> None:
    assert {row[1] for row in ROWS if len(row) == 5} == {"documented", "observed", "chosen"}
    assert {len(row) for row in ROWS} == {3, 5}


def test_every_point_names_tests_that_exist() -> None:
    for row in ROWS:
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", row[-1])
        assert named, row
        for path, function in named:
            assert re.search(rf"^ *(async )?def {function}\(", (ROOT / "tests" / path).read_text(), re.MULTILINE), row


def test_every_setting_that_it_names_exists_with_that_default() -> None:
    settings = {setting.flag: setting.default for setting in describe()}
    for row in ROWS:
        if len(row) != 5:
            continue
        for flag, default in re.findall(r"`(--[\w-]+)`(?: \(`?([\w.]+)`?\))?", row[3]):
            assert flag in settings
            assert default in ("", str(settings[flag])), row
        for field in re.findall(r"`(\w+)` in the instrument", row[3]):
            assert field in InstrumentFile.__struct_fields__


def test_every_choice_of_the_contract_is_named() -> None:
    for setting in describe():
        if setting.group in ("Choices of the contract", "Limits"):
            assert f"`{setting.flag}`" in PAGE, setting.flag
