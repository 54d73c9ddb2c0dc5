"""What a benchmark gives back, and the one table all of it ends in."""

import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

__all__ = ["Environment", "Row", "environment", "percentiles", "table"]

PERCENTILES = (50.0, 90.0, 99.0, 99.9)


class Row(msgspec.Struct, frozen=True):
    """One line of the table.

    ``figures`` maps ``""`` or a percentile's name to a value in ``unit``. ``ratio`` is the first figure over that of
    ``rival``, measured in the same run; ``goal`` says in words what the project wants the figures to be.
    """

    benchmark: str
    case: str
    measure: str
    unit: str
    figures: dict[str, float]
    ratio: float | None = None
    rival: str = ""
    goal: str = ""


class Environment(msgspec.Struct, frozen=True):
    """Where it ran. ``load_before`` and ``load_after`` are the load averages of one minute."""

    python: str
    system: str
    processor: str
    cores: int
    load_before: float
    load_after: float


def percentiles(samples: Iterable[float], unit: float = 1.0) -> dict[str, float]:
    """The percentiles of ``samples``, each divided by ``unit``, and the largest; nearest rank, so each is a sample."""
    ordered = sorted(samples)
    if not ordered:
        raise ValueError("samples: expected at least one, got none")
    figures = {}
    for percentile in PERCENTILES:
        rank = -int(-len(ordered) * percentile // 100)  # rounded up
        figures[f"p{percentile:g}"] = ordered[max(0, rank - 1)] / unit
    figures["max"] = ordered[-1] / unit
    return figures


def environment(load_before: float) -> Environment:
    """This machine, now that the run is over."""
    return Environment(
        python=f"{platform.python_implementation()} {platform.python_version()}",
        system=f"{platform.system()} {platform.release()}",
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        load_before=load_before,
        load_after=os.getloadavg()[0],
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def table(rows: Sequence[Row], where: Environment) -> str:
    """All rows as aligned text, with the machine and its load above them."""
    lines = [("benchmark", "case", "measure", "value", "ratio", "goal")]
    before: Row | None = None
    for row in rows:
        same = before is not None and before.benchmark == row.benchmark
        same_case = same and before is not None and before.case == row.case
        ratio = "" if row.ratio is None else f"{row.ratio:.2f} x {row.rival}"
        lines.append(
            ("" if same else row.benchmark, "" if same_case else row.case, row.measure, _value(row), ratio, row.goal)
        )
        before = row
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    texts = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    texts.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(
        [
            f"{where.python}, {where.system}, {where.processor}, {where.cores} cores",
            f"load average {where.load_before:.1f} before, {where.load_after:.1f} after (the run's own load included)",
            "",
            *texts,
        ]
    )


def _value(row: Row) -> str:
    parts = [f"{name} {_number(value)}".strip() for name, value in row.figures.items()]
    return f"{'  '.join(parts)} {row.unit}"


def _number(value: float) -> str:
    """Three significant digits, without an exponent."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else f"{value:.3f}"
