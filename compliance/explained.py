"""The cases that may fail, read from the page that explains them: what is not explained there has to pass."""

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

__all__ = ["PAGE", "Explained", "explained", "explanation_of"]

PAGE = Path(__file__).with_name("README.md")

_ROW = re.compile(r"^\| `([\d.*]+)` \| (server|client) \| ([A-Z-]+) \| (.+) \|$", re.MULTILINE)


class Explained(NamedTuple):
    """One row: a case or all of a group (``13.3.*``), the side it is about, the verdict that it gets, and why."""

    case: str
    side: str
    verdict: str
    reason: str


def explained(page: str) -> list[Explained]:
    """Every row of the page's table."""
    return [Explained(*row) for row in _ROW.findall(page)]


def explanation_of(case: str, side: str, rows: list[Explained]) -> Explained | None:
    """The row that speaks of ``case``, if there is one."""
    return next((row for row in rows if row.side == side and fnmatchcase(case, row.case)), None)
