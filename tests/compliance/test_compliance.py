"""The Autobahn cases, as far as they take seconds; and that the runner fails when it should."""

import subprocess
import sys
from pathlib import Path

import pytest
from compliance.explained import PAGE, Explained, explained, explanation_of
from compliance.verdicts import Verdict, judge, summary

ROOT = Path(__file__).parents[2]

# All but the large messages, and of those of deflate the small ones and one in fragments.
SHARE = (
    "1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.1.1", "9.2.1", "9.7.*", "10.*", "12.1.1", "12.1.5", "12.2.3",
    "12.3.6", "12.4.4", "13.1.4", "13.2.4", "13.3.4", "13.4.4", "13.5.4", "13.6.4", "13.7.4",
)  # fmt: skip


def run(*cases: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "compliance", *cases], cwd=ROOT, capture_output=True, text=True, check=False, timeout=230
    )


@pytest.mark.timeout(240)  # a fifth of a minute on a machine that does nothing else
def test_a_share_of_the_cases_passes_strictly() -> None:
    ran = run(*SHARE)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout + ran.stderr
    assert "explained" in ran.stdout
    assert {line.split()[0] for line in ran.stdout.splitlines() if "OK" in line} == {"server", "client"}


def test_a_case_that_does_not_exist_is_named() -> None:
    ran = run("7.1.5", "7.99")
    assert ran.returncode == 1
    assert "7.99" in ran.stderr


ROWS = [Explained("7.1.5", "server", "FAILED", "why"), Explained("13.3.*", "server", "UNIMPLEMENTED", "why")]
RIGHT = [Verdict("7.1.5", "FAILED", "WRONG CODE", "no"), Verdict("13.3.18", "UNIMPLEMENTED", "OK", "")]


@pytest.mark.parametrize(
    ("verdict", "wrong"),
    [
        (Verdict("1.1.1", "OK", "OK", ""), None),
        (Verdict("7.1.6", "INFORMATIONAL", "INFORMATIONAL", ""), None),
        (Verdict("6.4.3", "NON-STRICT", "OK", "so so"), "6.4.3: NON-STRICT: so so"),
        (Verdict("1.1.1", "OK", "UNCLEAN", "dropped"), "1.1.1: UNCLEAN: dropped"),
    ],
)
def test_what_is_not_explained_passes_strictly(verdict: Verdict, wrong: str | None) -> None:
    assert judge([*RIGHT, verdict], "server", ROWS, whole=True) == ([wrong] if wrong else [])


def test_an_explanation_that_is_not_needed_is_wrong() -> None:
    passes = [Verdict("7.1.5", "OK", "OK", "")]
    assert judge(passes, "server", ROWS, whole=False) == [
        "7.1.5: explained as FAILED, got OK: correct README.md",
    ]
    assert judge(RIGHT[:1], "server", ROWS, whole=False) == []
    assert judge(RIGHT[:1], "server", ROWS, whole=True) == ["13.3.*: explained, but there is no such case"]


def test_explanations_are_of_one_side() -> None:
    assert explanation_of("13.3.4", "server", ROWS) == ROWS[1]
    assert explanation_of("13.3.4", "client", ROWS) is None
    assert explanation_of("13.31.4", "server", ROWS) is None


def test_the_page_explains_each_case_in_a_row() -> None:
    rows = explained(PAGE.read_text())
    assert len(rows) == len({(row.case, row.side) for row in rows})
    assert len(rows) == PAGE.read_text().count("\n| `")


def test_the_table_counts_by_group() -> None:
    lines = summary([*RIGHT, Verdict("7.1.1", "OK", "OK", "")], "server", ROWS).splitlines()
    assert [line.split() for line in lines] == [
        ["server", "OK", "explained"],
        ["group", "7", "1", "1"],
        ["group", "13", "0", "1"],
        ["all", "1", "2"],
    ]
