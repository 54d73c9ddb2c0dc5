"""The figures of a measurement, as a text to read and as JSON."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from tickwire.cli.load.histogram import Histogram
from tickwire.cli.load.orders import OrderFlow
from tickwire.cli.load.plan import Connected, Outcome, Plan
from tickwire.client.clock import ServerClock

__all__ = ["Latency", "Report", "make_report", "report_text"]

# A process that ran, or wanted to run, for this share of the time had no room for more.
_BUSY = 0.9
# Seconds: in less, as when it was interrupted at once, everything is busy.
_WORTH_JUDGING = 0.1
# From this share of waiting on, frames lay in the socket while the load generator had no core to read them.
_WAITED = 0.2


class Latency(msgspec.Struct, rename="camel"):
    """In milliseconds, to 1 %; ``max`` exactly."""

    count: int
    p50: float
    p90: float
    p99: float
    p99_9: float = msgspec.field(name="p99.9")
    max: float

    @classmethod
    def of(cls, histogram: Histogram) -> "Latency":
        """From a histogram of microseconds."""
        p50, p90, p99, p99_9 = (histogram.percentile(percent) / 1e3 for percent in (50, 90, 99, 99.9))
        return cls(histogram.total, p50, p90, p99, p99_9, histogram.largest / 1e3)


class Report(msgspec.Struct, rename="camel", kw_only=True):
    """All figures. Rates are of the measurement alone; ``errors`` of connecting and of it.

    ``fairness`` is Jain's index of what the readers of the same topics received: 1 when all received the same.
    ``slowest_reader`` and ``fastest_reader`` are parts of their mean. ``clock_offset_ms`` leads from this machine's
    clock to the server's; it is corrected only when it is more than its own uncertainty. ``load_cpu`` is the largest
    share of a core that a process of the load generator used, and ``load_waited`` for which it had to wait for one.
    """

    url: str
    topics: list[str]
    topics_per_reader: int
    processes: int
    seconds: float
    interrupted: bool
    readers: int
    readers_wanted: int
    handshakes_per_second: float
    handshake: Latency
    frames: int
    frames_per_second: float
    megabytes_per_second: float
    frames_per_read: float
    fairness: float
    slowest_reader: float
    fastest_reader: float
    latency: Latency
    clock_offset_ms: float
    clock_uncertainty_ms: float
    clock_corrected: bool
    early: int
    gaps: int
    out_of_order: int
    without_snapshot: int
    unreadable: int
    conflated: int
    errors: dict[str, int]
    load_cpu: float
    load_waited: float | None
    load_was_the_bottleneck: bool
    order_to_frame: Latency | None = None
    order_to_reply: Latency | None = None
    order_errors: dict[str, int] = {}
    orders_left_open: list[str] = []


def make_report(
    plans: Sequence[Plan],
    connected: Sequence[Connected],
    outcomes: Sequence[Outcome],
    flow: OrderFlow | None,
    clock: ServerClock,
    *,
    interrupted: bool,
) -> Report:
    """Add up what the processes have told."""
    handshakes = _merged((each.handshakes, each.slowest) for each in connected)
    latency = _merged((each.latency, each.slowest) for each in outcomes)
    errors: Counter[str] = Counter()
    for counted in (*(each.errors for each in connected), *(each.errors for each in outcomes)):
        errors.update(counted)
    # Rates of what ran side by side add up; each process has its own seconds.
    frames_rate = sum(each.frames / each.seconds for each in outcomes)
    shares = _shares([reader for each in outcomes for reader in each.readers])
    cpu = [each.cpu_seconds / each.seconds for each in outcomes]
    waited = [each.waiting_seconds / each.seconds for each in outcomes if each.waiting_seconds is not None]
    wanted = [ran + wait for ran, wait in zip(cpu, waited, strict=True)] if len(waited) == len(cpu) else cpu
    measured = max(each.seconds for each in outcomes)
    plan, frames = plans[0], sum(each.frames for each in outcomes)
    return Report(
        url=plan.server.url,
        topics=list(plan.topics),
        topics_per_reader=min(plan.topics_per_reader, len(plan.topics)),
        processes=len(plans),
        seconds=measured,
        interrupted=interrupted,
        readers=sum(each.readers for each in connected),
        readers_wanted=plan.readers,
        handshakes_per_second=handshakes.total / max((each.seconds for each in connected), default=1.0),
        handshake=Latency.of(handshakes),
        frames=frames,
        frames_per_second=frames_rate,
        megabytes_per_second=sum(each.bytes / each.seconds for each in outcomes) / 1e6,
        frames_per_read=frames / max(1, sum(each.reads for each in outcomes)),
        fairness=sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares)) if any(shares) else 1.0,
        slowest_reader=min(shares, default=1.0),
        fastest_reader=max(shares, default=1.0),
        latency=Latency.of(latency),
        clock_offset_ms=clock.offset / 1e6,
        clock_uncertainty_ms=(clock.uncertainty or 0) / 1e6,
        clock_corrected=plan.server.offset != 0,
        early=sum(each.early for each in outcomes),
        gaps=sum(each.gaps for each in outcomes),
        out_of_order=sum(each.backwards for each in outcomes),
        without_snapshot=sum(each.unannounced for each in outcomes),
        unreadable=sum(each.unknown for each in outcomes),
        conflated=sum(each.conflated for each in outcomes),
        errors=dict(errors),
        load_cpu=max(cpu),
        load_waited=max(waited) if waited else None,
        load_was_the_bottleneck=max(wanted) >= _BUSY and measured >= _WORTH_JUDGING,
        order_to_frame=None if flow is None else Latency.of(flow.to_frame),
        order_to_reply=None if flow is None else Latency.of(flow.to_reply),
        order_errors={} if flow is None else dict(flow.errors),
        orders_left_open=[] if flow is None else flow.left_open,
    )


def _merged(parts: Iterable[tuple[list[int], int]]) -> Histogram:
    merged = Histogram()
    for counts, largest in parts:
        merged.add(Histogram(counts, largest))
    return merged


def _shares(readers: Sequence[tuple[int, int]]) -> list[float]:
    """What each reader received, as a part of the mean of the readers of the same topics."""
    groups: dict[int, list[int]] = {}
    for group, frames in readers:
        groups.setdefault(group, []).append(frames)
    means = {group: sum(frames) / len(frames) for group, frames in groups.items()}
    return [frames / means[group] for group, frames in readers if means[group]]


def report_text(report: Report) -> str:
    """What a person reads, a line for each figure."""
    per_reader = f"{report.topics_per_reader} of {len(report.topics)} topics each"
    lines = [
        ("stream", report.url),
        (
            "readers",
            f"{report.readers:,} of {report.readers_wanted:,} subscribed, {per_reader},"
            f" in {report.processes} process{'es' if report.processes > 1 else ''}",
        ),
        ("handshakes", f"{report.handshakes_per_second:,.0f}/s   {_latency(report.handshake)}"),
        (
            "frames",
            f"{report.frames_per_second:,.0f}/s, {report.megabytes_per_second:.2f} MB/s"
            f" over {report.seconds:.1f} s{', interrupted' if report.interrupted else ''};"
            f" {report.frames_per_read:.1f} a read",
        ),
        (
            "fairness",
            f"{report.fairness:.4f} (1: all the same); the slowest reader got {report.slowest_reader:.1%},"
            f" the fastest {report.fastest_reader:.1%} of the mean",
        ),
        ("latency", _latency(report.latency) + "   from a frame's ts to its receipt"),
        ("clock", _clock(report)),
    ]
    if report.order_to_frame is not None and report.order_to_reply is not None:
        lines.append(("order", _latency(report.order_to_frame) + "   to its frame"))
        lines.append(("", _latency(report.order_to_reply) + "   to its reply"))
    lines.append(
        (
            "sequence",
            f"{report.gaps:,} gaps, {report.out_of_order:,} out of order, {report.without_snapshot:,} begun without a"
            f" SNAPSHOT, {report.unreadable:,} unreadable; conflated {report.conflated:,} times",
        )
    )
    errors = report.errors | report.order_errors
    lines.append(("errors", ", ".join(f"{count:,} x {code}" for code, count in sorted(errors.items())) or "none"))
    if report.orders_left_open:
        lines.append(("left open", " ".join(report.orders_left_open)))
    lines.append(("load", _load(report)))
    return "\n".join(f"{name:<11} {text}" for name, text in lines)


def _latency(latency: Latency) -> str:
    if not latency.count:
        return "nothing to measure"
    values = (
        ("p50", latency.p50), ("p90", latency.p90), ("p99", latency.p99), ("p99.9", latency.p99_9),
        ("max", latency.max),
    )  # fmt: skip
    return "  ".join(f"{name} {value:.3g}" if value < 100 else f"{name} {value:.0f}" for name, value in values) + " ms"


def _clock(report: Report) -> str:
    ahead = f"{abs(report.clock_offset_ms):.3f} ms {'ahead of' if report.clock_offset_ms >= 0 else 'behind'} this one"
    text = f"the server's is {ahead}, +- {report.clock_uncertainty_ms:.3f}: "
    text += "corrected for" if report.clock_corrected else "no difference that could be measured"
    return text + (f"; {report.early:,} frames came before their ts" if report.early else "")


def _load(report: Report) -> str:
    text = f"{report.load_cpu:.0%} of a core in its busiest process"
    if report.load_waited:
        text += f", which waited for a core {report.load_waited:.0%} of the time at the most"
    if not report.load_was_the_bottleneck:
        if report.load_waited and report.load_waited >= _WAITED:
            return text + ": not the bottleneck, but part of the latency is its own waiting; this machine is too busy"
        return text + ": not the bottleneck"
    cores = os.cpu_count() or 1
    more = "use more processes" if report.processes < cores else "run it on another machine, or on several"
    return text + f": the LOAD GENERATOR was the bottleneck, the server may do better; {more}"
