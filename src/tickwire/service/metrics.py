"""The catalogue of metrics: each with its meaning, and with how it is read from the part of the server that counts it.

A row without a source can't be written, so what the reference page lists is what ``/_tickwire/metrics`` shows. Labels
have few values, all of them the server's own: nothing that a client sends becomes one.
"""

import platform
import resource
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from tickwire import __version__
from tickwire.metrics import Histogram, Metric, Samples, render
from tickwire.rest.metrics import RequestCounters
from tickwire.service.loop import LoopWatch
from tickwire.service.sequencer import Sequencer
from tickwire.stream.transport import PROTOCOL_CLOSES, Stream
from tickwire.wire.closes import CLOSES

__all__ = ["METRICS", "Front", "metrics_page"]


class Front(msgspec.Struct, frozen=True):
    """The parts that count of any server of this project, whatever is behind it."""

    stream: Stream
    requests: RequestCounters
    loop: LoopWatch


S = TypeVar("S")


class _Row(msgspec.Struct, Generic[S], frozen=True):
    """A metric, and how it is read from the part that counts it."""

    metric: Metric
    read: Callable[[S], Samples]


def _counter(name: str, unit: str, help: str, read: Callable[[S], Samples], labels: tuple[str, ...] = ()) -> _Row[S]:
    return _Row(Metric(name, "counter", unit, help, labels), read)


def _gauge(name: str, unit: str, help: str, read: Callable[[S], Samples], labels: tuple[str, ...] = ()) -> _Row[S]:
    return _Row(Metric(name, "gauge", unit, help, labels), read)


def _seconds(name: str, help: str, read: Callable[[S], Samples], labels: tuple[str, ...] = ()) -> _Row[S]:
    return _Row(Metric(name, "histogram", "seconds", help, labels), read)


# Readings that are more than an attribute.


def _one_label(values: Mapping[Any, int]) -> Samples:
    return {(name,): value for name, value in values.items()}


_CLOSE_CODES = {name: str(close.code) for name, close in CLOSES.items()} | {
    name: str(int(code)) for code, name in PROTOCOL_CLOSES.items()
}


def _closes(front: Front) -> Samples:
    # Who ends by a code of their own, or without one, has none of ours.
    closes = front.stream.counters.closes
    return {(name, _CLOSE_CODES.get(name, "")): count for name, count in closes.items()}


def _joined(front: Front) -> Samples:
    counters = front.stream.counters
    histogram = Histogram(tuple(float(2**bits - 1) for bits in range(1, 13)))
    for bits, count in enumerate(counters.joined[1:]):
        histogram.counts[min(bits, len(histogram.bounds))] += count
    histogram.sum = float(counters.frames_out)
    return histogram


def _dropped(front: Front) -> Samples:
    counters = front.stream.counters
    return {
        ("behind",): counters.dropped,
        ("configure",): counters.merged,
        ("closing",): counters.discarded,
    }


def _resumes(front: Front) -> Samples:
    counters = front.stream.counters
    return {("exact",): counters.resumed, ("snapshot",): counters.not_resumed}


def _limits(front: Front) -> Samples:
    return _one_label(front.stream.counters.limits | {"requests_per_second": front.requests.limited})


def _commands(sequencer: Sequencer) -> Samples:
    return {(kind.__name__,): count for kind, count in sequencer.commands.items()}


def _refused_commands(sequencer: Sequencer) -> Samples:
    return {(kind.__name__, code): count for (kind, code), count in sequencer.refusals.items()}


def _build(_front: Front) -> Samples:
    return {(__version__, platform.python_version(), platform.python_implementation()): 1}


def _resident(_front: Front) -> Samples:
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    # Where there is no such file only the most that it ever was can be had without a library: bytes on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _open_files(_front: Front) -> Samples:
    return len(list(Path("/dev/fd").iterdir()))


_STARTED = time.time()  # this is loaded as the server starts

_FRONT_ROWS: tuple[_Row[Front], ...] = (
    # The stream.
    _gauge(
        "tickwire_stream_connections", "sockets", "Open streams.", lambda s: s.stream.hub.session_count
    ),
    _counter(
        "tickwire_stream_connections_accepted_total", "sockets", "Streams that were opened.",
        lambda s: s.stream.counters.connections,
    ),
    _counter(
        "tickwire_stream_handshakes_refused_total", "handshakes", "Requests for a stream that were refused, by code.",
        lambda s: _one_label(s.stream.counters.refusals), ("code",),
    ),
    _counter(
        "tickwire_stream_closes_total", "sockets",
        "Streams that ended, by reason and close code; lost and by_client are the peer's doing.",
        _closes, ("name", "code"),
    ),
    _gauge(
        "tickwire_stream_subscriptions", "topics", "Topics that streams are subscribed to, by kind.",
        lambda s: _one_label(s.stream.hub.subscriptions), ("kind",),
    ),
    _counter(
        "tickwire_stream_operations_total", "messages", "Messages that clients sent.",
        lambda s: s.stream.counters.operations,
    ),
    _counter(
        "tickwire_stream_frames_total", "frames", "Frames written: data and replies.",
        lambda s: s.stream.counters.frames_out,
    ),
    _counter(
        "tickwire_stream_bytes_total", "bytes", "Bytes written to streams, before TLS.",
        lambda s: s.stream.counters.bytes_out,
    ),
    _Row(
        Metric(
            "tickwire_stream_frames_per_write", "histogram", "frames",
            "Frames joined in one write: the higher the load, the more.",
        ),
        _joined,
    ),
    _seconds(
        "tickwire_stream_publish_seconds",
        "From when a turn's first frame comes from the engine to the turn's last write to the kernel.",
        lambda s: s.stream.hub.flusher.seconds,
    ),
    _counter(
        "tickwire_stream_conflated_total", "times", "Times a topic was set aside for a reader, by reason.",
        lambda s: {("behind",): s.stream.counters.conflated}, ("reason",),
    ),
    _counter(
        "tickwire_stream_dropped_total", "frames",
        "Frames not sent: made good by a SNAPSHOT (behind) or a later frame (configure), or too late (closing).",
        _dropped, ("reason",),
    ),
    _counter(
        "tickwire_stream_resumes_total", "topics",
        "Topics that a reader came back to with nothing missed (exact), or had to begin anew (snapshot).",
        _resumes, ("outcome",),
    ),
    _gauge(
        "tickwire_stream_readers_behind", "sockets", "Streams whose reader is behind now.",
        lambda s: s.stream.backlog.readers,
    ),
    _gauge(
        "tickwire_stream_outbox_bytes", "bytes", "Bytes that wait for readers that are behind: outboxes, transports.",
        lambda s: s.stream.backlog.bytes,
    ),
    # Limits.
    _counter(
        "tickwire_limits_hit_total", "refusals", "Refusals by a limit, by the setting that it is.",
        _limits, ("limit",),
    ),
    # REST.
    _counter(
        "tickwire_rest_requests_total", "requests", "Requests answered, by method, endpoint and status.",
        lambda s: s.requests.requests, ("method", "endpoint", "status"),
    ),
    _seconds(
        "tickwire_rest_request_seconds", "From a request's headers to its reply, by endpoint.",
        lambda s: s.requests.seconds, ("endpoint",),
    ),
    # The process.
    _seconds(
        "tickwire_loop_lag_seconds", "How long a callback that is due waits for the loop; ten looks a second.",
        lambda s: s.loop.seconds,
    ),
    _counter(
        "tickwire_loop_slow_turns_total", "turns", "Turns of the loop found that took 250 ms or more.",
        lambda s: s.loop.slow,
    ),
    _gauge(
        "tickwire_build_info", "", "Always 1; the labels say what runs.", _build,
        ("version", "python", "implementation"),
    ),
    _counter(
        "process_cpu_seconds_total", "seconds", "CPU time, user and system.", lambda _: round(time.process_time(), 6)
    ),
    _gauge(
        "process_resident_memory_bytes", "bytes", "Resident memory; on macOS the most that it ever was.", _resident
    ),
    _gauge("process_start_time_seconds", "seconds", "When the process started, since the epoch.", lambda _: _STARTED),
    _gauge("process_open_fds", "files", "Open files and sockets.", _open_files),
    _gauge(
        "process_max_fds", "files", "Files and sockets that may be open.",
        lambda _: resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    ),
)  # fmt: skip

_EXCHANGE_ROWS: tuple[_Row[Sequencer], ...] = (
    _counter(
        "tickwire_engine_commands_total", "commands", "Commands applied, refused ones included, by type.",
        _commands, ("command",),
    ),
    _counter(
        "tickwire_engine_refusals_total", "commands", "Commands that the engine refused, by type and code.",
        _refused_commands, ("command", "code"),
    ),
    _gauge(
        "tickwire_engine_sequence", "commands", "Number of the last command, since the data directory was made.",
        lambda s: s.engine.sequence,
    ),
    _gauge(
        "tickwire_engine_accounts", "accounts", "Accounts, the exchange's own included.",
        lambda s: len(s.engine.accounts),
    ),
    _seconds(
        "tickwire_journal_commit_seconds", "From handing a batch to the journal to the report that it is kept.",
        lambda s: s.commit_seconds,
    ),
    _seconds(
        "tickwire_journal_snapshot_seconds", "From writing down the state to the report that it is kept.",
        lambda s: s.snapshot_seconds,
    ),
    _counter(
        "tickwire_journal_failures_total", "failures", "Batches and snapshots that could not be kept.",
        lambda s: s.failures,
    ),
)  # fmt: skip

METRICS = (*(row.metric for row in _FRONT_ROWS), *(row.metric for row in _EXCHANGE_ROWS))


def metrics_page(front: Front, sequencer: Sequencer | None = None) -> str:
    """All metrics as they are now, in the text format of Prometheus; those of the exchange where there is one."""
    rows = [(row.metric, row.read(front)) for row in _FRONT_ROWS]
    if sequencer is not None:
        rows += [(row.metric, row.read(sequencer)) for row in _EXCHANGE_ROWS]
    return render(rows)
