"""What a benchmark gives back, and the tables that it ends in, one each."""

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
    ``rival``, measured in the same run; ``goal`` says in words what the project wants the figures to be, and ``met``
    whether they are.
    """

    benchmark: str
    case: str
    measure: str
    unit: str
    figures: dict[str, float]
    ratio: float | None = None
    rival: str = ""
    goal: str = ""
    met: bool | None = None
    note: str = ""


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
    """The machine and its load, then a table of aligned text for each benchmark, with the ratios first."""
    parts = [
        f"{where.python}, {where.system}, {where.processor}, {where.cores} cores\n"
        f"load average {where.load_before:.1f} before, {where.load_after:.1f} after (the run's own load included)"
    ]
    for benchmark in dict.fromkeys(row.benchmark for row in rows):
        lines: list[tuple[str, ...]] = [("case", "ratio", "measure", "value", "goal")]
        case = None
        for row in rows:
            if row.benchmark == benchmark:
                ratio = "" if row.ratio is None else f"{row.ratio:.2f} x {row.rival}"
                lines.append(("" if row.case == case else row.case, ratio, row.measure, _value(row), _remark(row)))
                case = row.case
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        lines.insert(1, tuple("-" * width for width in widths))
        texts = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
        parts.append("\n".join([benchmark, "", *(text.rstrip() for text in texts)]))
    return "\n\n".join(parts)


def _remark(row: Row) -> str:
    goal = row.goal if row.met is None else f"{row.goal}: {'met' if row.met else 'missed'}"
    return "; ".join(part for part in (goal, row.note) if part)


def _value(row: Row) -> str:
    parts = [f"{name} {_number(value)}".strip() for name, value in row.figures.items()]
    return f"{'  '.join(parts)} {row.unit}"


def _number(value: float) -> str:
    """Three significant digits, without an exponent."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else f"{value:.3f}"
