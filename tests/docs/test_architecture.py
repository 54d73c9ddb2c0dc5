"""The page on the architecture: what it says of dependencies and modules is so."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_dependencies_are_those_of_the_project() -> None:
    extras = [text for group in PROJECT["optional-dependencies"].values() for text in group]
    wanted = {}
    for text in [*PROJECT["dependencies"], *extras]:
        match = re.fullmatch(r"([\w-]+)>=([\d.]+),<([\d.]+)(; .*)?", text)
        assert match is not None, text
        name, low, high, _ = match.groups()
        wanted[name] = (low.removesuffix(".0"), high)
    found = {
        name: (low.removesuffix(".0"), high)
        for name, low, high in re.findall(r"^\| `([\w-]+)` \| ([\d.]+) to ([\d.]+) \|", PAGE, re.MULTILINE)
    }
    assert found == wanted


def test_every_module_of_the_exchange_is_named_and_no_other() -> None:
    (table,) = re.findall(r"^\| modules \| .*\n\| --- .*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    named = re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in table.splitlines()))
    there = [path.stem for path in (ROOT / "src" / "tickwire" / "exchange").glob("*.py") if path.stem != "__init__"]
    assert sorted(named) == sorted(there)


def test_every_package_is_named() -> None:
    section = PAGE.partition("## Packages")[2].partition("## Decisions")[0]
    there = {path.parent.name for path in (ROOT / "src" / "tickwire").glob("*/__init__.py")}
    # Besides packages there is one module that stands for itself.
    assert there | {"metrics"} == set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
