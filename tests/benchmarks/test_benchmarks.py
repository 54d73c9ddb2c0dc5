"""The benchmarks themselves, in tiny sizes: that they work and what they report, never how fast anything is."""

import contextlib
import math
import socket
import threading
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from benchmarks import build
from benchmarks.__main__ import NAMES, STREAM, main
from benchmarks.clients import Credentials, HttpConnection, Reply
from benchmarks.clients import request as http_request
from benchmarks.curves import CURVES
from benchmarks.report import Environment, Row, percentiles, table

from tickwire.wire.signing import sign


class Written(msgspec.Struct, forbid_unknown_fields=True):
    """What ``--json`` writes."""

    environment: Environment
    rows: list[Row]


# The curves run with their drawing, below.
@pytest.mark.parametrize("name", [name for name in NAMES if name != "curves"])
def test_each_benchmark_runs(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    if name in STREAM:
        request.getfixturevalue("compiler")
    file = tmp_path / "figures.json"
    assert main([name, "--quick", "--json", str(file)]) == 0
    written = msgspec.json.decode(file.read_bytes(), type=Written)
    assert written.environment.cores >= 1
    assert written.rows
    for row in written.rows:
        assert row.benchmark == name
        assert row.figures, row
        for value in row.figures.values():
            assert math.isfinite(value), row
            assert value >= 0, row
        # A ratio is of something that is named, and the other way round.
        assert (row.ratio is None) == (not row.rival), row
    if name != "day":  # which has bounds of its own: a size that stays, a start under 5 s
        assert any(row.ratio is not None for row in written.rows), "nothing was compared"
    printed = capsys.readouterr().out
    assert printed.rstrip("\n") == table(written.rows, written.environment)


def test_list_says_what_each_measures(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    printed = capsys.readouterr().out
    for name in NAMES:
        assert f"{name}\n    " in printed


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["order_to_stream", "fastest"])
    assert raised.value.code == 2
    assert "got fastest" in capsys.readouterr().err


def test_what_can_not_be_run_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "BUILD", tmp_path)
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    assert main(["stalled", "--quick"]) == 0
    assert "stalled left out: load.c: expected a C compiler" in capsys.readouterr().err


def test_percentiles_are_samples_by_nearest_rank() -> None:
    samples = [float(number) for number in range(1000, 0, -1)]
    assert percentiles(samples, 10.0) == {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99.9": 99.9, "max": 100.0}
    assert percentiles([7.0]) == {"p50": 7.0, "p90": 7.0, "p99": 7.0, "p99.9": 7.0, "max": 7.0}
    with pytest.raises(ValueError, match="at least one"):
        percentiles([])


def test_there_is_a_table_a_benchmark_with_the_ratios_first() -> None:
    where = Environment("CPython 3.11.0", "Linux 6", "a processor", 2, 0.25, 1.5)
    rows = [
        Row("first", "one", "latency", "ms", {"p50": 0.1234, "p99": 12.34}, 2.5, "rival", "p50 < 2 ms", True),
        Row("first", "one", "rate", "/s", {"": 1234567.0}, goal="> 2,000,000", met=False, note="a busy machine"),
        Row("second", "one", "rate", "/s", {"": 1.0}),
    ]
    assert table(rows, where).splitlines() == [
        "CPython 3.11.0, Linux 6, a processor, 2 cores",
        "load average 0.2 before, 1.5 after (the run's own load included)",
        "",
        "first",
        "",
        "case  ratio         measure  value                   goal",
        "----  ------------  -------  ----------------------  -----------------------------------",
        "one   2.50 x rival  latency  p50 0.123  p99 12.3 ms  p50 < 2 ms: met",
        "                    rate     1,234,567 /s            > 2,000,000: missed; a busy machine",
        "",
        "second",
        "",
        "case  ratio  measure  value    goal",
        "----  -----  -------  -------  ----",
        "one          rate     1.00 /s",
    ]


@pytest.mark.usefixtures("compiler")
def test_stream_stands_for_the_stream_benchmarks_and_curves_are_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set(STREAM) < set(NAMES)
    assert main(["curves", "--quick", "--draw", str(tmp_path)]) == 0
    capsys.readouterr()
    for curve in CURVES:
        text = (tmp_path / f"cost-by-{curve.replace(' ', '-')}.svg").read_text()
        root = ElementTree.fromstring(text)
        assert len(root.findall("{http://www.w3.org/2000/svg}polyline")) == (2 if curve == CURVES[1] else 3)


def test_a_request_is_signed_over_what_is_sent() -> None:
    credentials = Credentials("key", "secret", "1700000000")
    head, _, body = http_request("POST", "/api/v1/trade/order", b"{}", credentials, x_more="1").partition(b"\r\n\r\n")
    assert body == b"{}"
    assert head.decode().split("\r\n") == [
        "POST /api/v1/trade/order HTTP/1.1",
        "host: benchmark",
        "api-key: key",
        "api-expires: 1700000000",
        f"api-signature: {sign('secret', 'POST', '/api/v1/trade/order', '1700000000', b'{}')}",
        "x-more: 1",
        "content-type: application/json",
        "content-length: 2",
    ]


def test_a_reply_is_put_together_from_its_pieces() -> None:
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = HttpConnection(listener.getsockname())
        peer, _ = listener.accept()
        with contextlib.closing(connection), peer:
            for size in (len(reply) - 2, 2):
                peer.sendall(reply[:size])
                reply = reply[size:]
                received = connection.receive()
                assert received == (None if reply else Reply(200, b"hello"))
            # A whole one and its successor's first byte.
            sender = threading.Thread(target=peer.sendall, args=(b"HTTP/1.1 404 No\r\n\r\nH",))
            sender.start()
            assert connection.call(b"GET / HTTP/1.1\r\n\r\n") == Reply(404, b"")
            sender.join()
            peer.sendall(b"TTP/1.1 204 No\r\n\r\n")
            assert connection.receive() == Reply(204, b"")
