"""What a run of the cases comes to: which verdicts are as they should be."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from compliance.explained import Explained, explanation_of

__all__ = ["Verdict", "judge", "summary"]

# INFORMATIONAL cases look at what the RFC leaves open: any outcome is right.
_RIGHT = {"OK", "INFORMATIONAL"}


class Verdict(NamedTuple):
    """One case as the suite judged it. ``close`` is its word on the closing handshake, ``detail`` its sentence."""

    case: str
    behavior: str
    close: str
    detail: str

    @property
    def word(self) -> str:
        """The two words as one: the first that is not right, or what the case is."""
        return next((word for word in (self.behavior, self.close) if word not in _RIGHT), self.behavior)


def judge(verdicts: Iterable[Verdict], side: str, rows: list[Explained], *, whole: bool) -> list[str]:
    """What is wrong with a run, a sentence each; nothing when all is as explained.

    Strictly: NON-STRICT is not good enough unless explained, and an explanation that is no longer needed is wrong too.
    ``whole``: every case has run, so each explanation has to have been of use.
    """
    wrong, used = [], set()
    for verdict in verdicts:
        row = explanation_of(verdict.case, side, rows)
        if row is not None:
            used.add(row)
            if verdict.word != row.verdict:
                wrong.append(f"{verdict.case}: explained as {row.verdict}, got {verdict.word}: correct README.md")
        elif verdict.word not in _RIGHT:
            wrong.append(f"{verdict.case}: {verdict.word}: {verdict.detail}")
    if whole:
        wrong += [
            f"{row.case}: explained, but there is no such case" for row in rows if row.side == side and row not in used
        ]
    return wrong


def summary(verdicts: Iterable[Verdict], side: str, rows: list[Explained]) -> str:
    """A table: for each group of cases how many came out how."""
    groups: dict[str, Counter[str]] = {}
    for verdict in verdicts:
        kind = "explained" if explanation_of(verdict.case, side, rows) else verdict.word
        groups.setdefault(verdict.case.partition(".")[0], Counter())[kind] += 1
    words = sorted({word for counter in groups.values() for word in counter}, key=lambda word: (word != "OK", word))
    rows_of_table = {f"group {name}": groups[name] for name in sorted(groups, key=int)}
    rows_of_table["all"] = sum(groups.values(), Counter())
    lines = [f"{name:10}" + "".join(f"{counter[word]:15}" for word in words) for name, counter in rows_of_table.items()]
    return "\n".join([f"{side:10}" + "".join(f"{word:>15}" for word in words), *lines])
