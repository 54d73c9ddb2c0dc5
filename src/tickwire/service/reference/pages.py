"""All reference pages as files of one directory."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tickwire.service.reference.catalogues import (
    close_codes_page,
    errors_page,
    instruments_page,
    metrics_page,
    settings_page,
)
from tickwire.service.reference.client import client_page
from tickwire.service.reference.commands import commands_page
from tickwire.service.reference.rest import rest_page
from tickwire.service.reference.topics import topics_page

__all__ = ["PAGES", "main", "stale_pages", "write_pages"]

_NOTE = "<!-- Made by `make docs`. Change the code it is made from, not this page. -->\n\n"

PAGES: dict[str, Callable[[], str]] = {
    "client.md": client_page,
    "close-codes.md": close_codes_page,
    "commands.md": commands_page,
    "errors.md": errors_page,
    "instruments.md": instruments_page,
    "metrics.md": metrics_page,
    "rest.md": rest_page,
    "settings.md": settings_page,
    "topics.md": topics_page,
}


def write_pages(directory: Path) -> None:
    """Write every page."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (directory / name).write_text(_NOTE + page(), encoding="utf-8")


def stale_pages(directory: Path) -> list[str]:
    """The names of the pages that are missing or say something else than the code."""

    def current(name: str) -> str:
        path = directory / name
        return path.read_text(encoding="utf-8") if path.exists() else ""

    return [name for name, page in PAGES.items() if current(name) != _NOTE + page()]


def main(arguments: Sequence[str]) -> int:
    """Write the pages into the directory named, or check them with ``--check``; returns the exit code."""
    directories = [argument for argument in arguments if argument != "--check"]
    if len(directories) != 1 or directories[0].startswith("-"):
        print("usage: python -m tickwire.service.reference [--check] DIRECTORY", file=sys.stderr)
        return 2
    directory = Path(directories[0])
    if "--check" not in arguments:
        write_pages(directory)
        return 0
    stale = stale_pages(directory)
    if stale:
        print(
            f"expected the pages that `make docs` writes, but stale in {directory}: {', '.join(stale)}", file=sys.stderr
        )
    return 1 if stale else 0
