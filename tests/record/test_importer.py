"""Imports: rows of other venues become frames of the contract; what can't be used is named by file and line."""

import json
import struct
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.support import tickwire, until
from tests.record import samples
from tests.record.samples import MICRO, MILLI, gzipped, plain, zipped
from tests.record.support import Replay, frames, rows, state_after

from tickwire.record.format import CONNECTED, FRAME, LOST
from tickwire.record.import_events import BadFile
from tickwire.record.importer import Format, Imported, import_files
from tickwire.record.reader import Recording

SYMBOL = "BTCUSDT.PERP"
TICKER, DELTA, BOOK = f"ticker.{SYMBOL}", f"orderbook.delta.{SYMBOL}", f"orderbook.{SYMBOL}"


def load(
    format: Format, directory: Path, *paths: Path, intervals: tuple[str, ...] = ("1",), skip_bad: bool = False
) -> Imported:
    return import_files(format, paths, directory, SYMBOL, intervals=intervals, skip_bad=skip_bad)


def of_topic(directory: Path, topic: str) -> list[dict[str, Any]]:
    """The frames of a topic, each with its one row beside it."""
    found = [json.loads(row.data) for row in rows(directory) if row.kind == FRAME and row.topic == topic]
    return [frame | {"action": frame["data"][0]["actionType"], "row": frame["data"][0]["rows"][0]} for frame in found]


def test_trades_become_candles_and_the_last_price(tmp_path: Path) -> None:
    path = gzipped(tmp_path / "trades.csv.gz", samples.TRADES)
    imported = load("tardis-csv", tmp_path / "to", path, intervals=("1", "60"))
    assert (imported.rows, imported.skipped) == (3, {})
    minute = of_topic(tmp_path / "to", f"kline.1.{SYMBOL}")
    start, next_start = str(MICRO * 1000), str((MICRO + 60_000_000) * 1000)
    assert [(frame["action"], frame["row"]) for frame in minute] == [
        ("SNAPSHOT", [start, "42283.5", "42283.5", "42283.5", "42283.5", "0.012", "507.402"]),
        ("UPDATE", [start, "42283.5", "42283.5", "42280", "42280", "0.01201", "507.8248"]),
        # Once more at its close; the next one opens where it has closed.
        ("UPDATE", [start, "42283.5", "42283.5", "42280", "42280", "0.01201", "507.8248"]),
        ("UPDATE", [next_start, "42280", "42290.1", "42280", "42290.1", "2", "84580.2"]),
    ]
    assert len(of_topic(tmp_path / "to", f"kline.60.{SYMBOL}")) == 3
    ticker = of_topic(tmp_path / "to", TICKER)
    assert [(frame["action"], frame["row"]["lastPrice"]) for frame in ticker] == [
        ("SNAPSHOT", "42283.5"),
        ("UPDATE", "42280"),
        ("UPDATE", "42290.1"),
    ]
    # Heard of later than it happened.
    assert ticker[0]["ts"] == start
    kept = rows(tmp_path / "to")
    assert next(row.received for row in kept if row.kind == FRAME) == (MICRO + 4_000) * 1000
    assert [row.kind for row in kept if row.kind in (CONNECTED, LOST)] == [CONNECTED, LOST]


def test_book_changes_become_deltas_without_a_gap(tmp_path: Path) -> None:
    load("tardis-csv", tmp_path / "to", plain(tmp_path / "book.csv", samples.CHANGES))
    deltas = of_topic(tmp_path / "to", DELTA)
    assert [(frame["action"], frame["row"]["seq"], frame["row"]["prevSeq"]) for frame in deltas] == [
        ("SNAPSHOT", 1, 1),
        ("UPDATE", 2, 1),
        ("UPDATE", 3, 2),
        ("SNAPSHOT", 4, 4),
        ("UPDATE", 5, 4),
    ]
    first, second = deltas[0]["row"], deltas[1]["row"]
    assert (first["bids"], first["asks"]) == (
        [["42283.9", "2.25"], ["42283", "0.5"]],
        [["42284", "3.5"], ["42285", "1"]],
    )
    assert (second["bids"], second["asks"]) == ([["42283.9", "0"]], [["42284", "3.75"]])
    best = [(frame["row"].get("bidPrice"), frame["row"].get("askPrice")) for frame in of_topic(tmp_path / "to", TICKER)]
    assert best == [
        ("42283.9", "42284"), ("42283", "42284"), ("42283.95", "42284"), ("42000", "42284"), ("42000", "42001"),
    ]  # fmt: skip
    state = state_after(frames(tmp_path / "to"))
    assert state[DELTA]["bids"] == {Decimal(42000): ["42000", "1"]}


def test_book_snapshots_become_whole_books(tmp_path: Path) -> None:
    load("tardis-csv", tmp_path / "to", gzipped(tmp_path / "book.csv.gz", samples.SNAPSHOTS))
    books = of_topic(tmp_path / "to", BOOK)
    assert [frame["action"] for frame in books] == ["SNAPSHOT", "SNAPSHOT"]
    row = books[0]["row"]
    assert (len(row["bids"]), len(row["asks"])) == (24, 24)
    assert (row["bids"][:2], row["asks"][:2]) == (
        [["42283", "1.5"], ["42282", "2.5"]],
        [["42284.5", "1"], ["42285.5", "2"]],
    )
    assert of_topic(tmp_path / "to", TICKER)[0]["row"] == {
        "symbol": SYMBOL, "bidPrice": "42283", "askPrice": "42284.5",
    }  # fmt: skip


def test_the_derivative_ticker_becomes_the_ticker(tmp_path: Path) -> None:
    load("tardis-csv", tmp_path / "to", plain(tmp_path / "ticker.csv", samples.TICKER))
    first, second = of_topic(tmp_path / "to", TICKER)
    assert first["row"] == {
        "symbol": SYMBOL,
        "openInterest": "84011.2",
        "lastPrice": "42283.5",
        "indexPrice": "42270.11",
        "markPrice": "42281.3",
        "fundingRate": "-0.00012",
        "nextFundingTime": str((MICRO + 28_800_000_000) * 1000),
    }
    assert second["row"] == {"symbol": SYMBOL, "openInterest": "84011.5", "markPrice": "42282"}


def test_binances_files_together(tmp_path: Path) -> None:
    paths = [zipped(tmp_path / name, text) for name, text in samples.BINANCE_FILES.items()]
    imported = load("binance-csv", tmp_path / "to", *paths)
    assert imported.rows == 2 + 2 + 2 + 3 + 2
    recording = Recording(tmp_path / "to")
    assert set(recording.topics()) == {TICKER, f"kline.1.{SYMBOL}", BOOK}
    kept = [row for row in recording.rows() if row.kind == FRAME]
    assert [row.received for row in kept] == sorted(row.received for row in kept)
    assert kept[0].received == MILLI * 10**6
    # The price of each band is the average within it.
    first, second = of_topic(tmp_path / "to", BOOK)
    assert (first["row"]["bids"], first["row"]["asks"]) == (
        [["42400", "100"], ["42250", "200"]],
        [["42454.5455", "110"], ["42793.1034", "290"]],
    )
    assert first["ts"] == str((MILLI + 8_000) * 10**6)
    assert (second["row"]["bids"], second["row"]["asks"]) == ([["42400", "50"]], [["42500", "60"]])


def test_whole_candles(tmp_path: Path) -> None:
    load("binance-csv", tmp_path / "to", zipped(tmp_path / "BTCUSDT-1m-2024-01-01.zip", samples.KLINES))
    assert [(frame["action"], frame["row"]) for frame in of_topic(tmp_path / "to", f"kline.1.{SYMBOL}")] == [
        ("SNAPSHOT", [f"{MILLI}000000", "42283.58", "42298.62", "42261.02", "42298.61", "35.92724", "1519032.58"]),
        ("UPDATE", [f"{MILLI + 60_000}000000", "42298.62", "42320", "42298.61", "42320", "21.16779", "895580.61"]),
    ]


def test_files_without_a_header_go_by_their_name(tmp_path: Path) -> None:
    path = zipped(tmp_path / "BTCUSDT-trades-2025-01-01.zip", samples.BINANCE_SPOT_TRADES)
    assert load("binance-csv", tmp_path / "to", path).rows == 2
    assert of_topic(tmp_path / "to", TICKER)[0]["row"]["lastPrice"] == "42283.58"
    nameless = plain(tmp_path / "other.csv", samples.BINANCE_SPOT_TRADES)
    with pytest.raises(BadFile, match=r"other.csv: line 1: expected a header, or a name such as"):
        load("binance-csv", tmp_path / "to", nameless)


def test_history_is_replayed(tmp_path: Path) -> None:
    trades = gzipped(tmp_path / "trades.csv.gz", samples.TRADES)
    book = gzipped(tmp_path / "book.csv.gz", samples.CHANGES)
    result = tickwire(
        "import", "--format", "tardis-csv", str(trades), str(book), "--to", str(tmp_path / "to"), "--symbol", SYMBOL,
        home=tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "8 events" in result.stdout
    with Replay(tmp_path / "to", "--from", "+1s", "--speed", "max", home=tmp_path) as replay:
        with replay.demo.stream(TICKER, DELTA, f"kline.1.{SYMBOL}") as stream:
            book_row = stream.snapshots[DELTA]["data"][0]["rows"][0]
            assert (book_row["bids"], book_row["asks"]) == ([["42000", "1"]], [["42001", "1"]])
            until(lambda: not replay.health()["playing"])
            assert len(stream.barrier()) == 5  # two trades, the first of a new minute
        demo = replay.demo
        ticker = demo.get(f"/market/ticker?symbol={SYMBOL}")
        known = {"symbol": SYMBOL, "bidPrice": "42000", "askPrice": "42001", "lastPrice": "42290.1"}
        assert {name: value for name, value in ticker.items() if value is not None} == known
        assert demo.get(f"/market/contract?symbol={SYMBOL}")["quoteCurrency"] == "USDT"
        assert demo.get("/trade/symbol") == {"spot": [], "perpetualSwap": [SYMBOL]}
        assert demo.get(f"/market/orderbook?symbol={SYMBOL}")["bids"] == [["42000", "1"]]
        assert len(demo.get(f"/market/kline?symbol={SYMBOL}&interval=1")) == 2
        assert demo.refused("GET", "/market/fee-rate")[0] == "NotRecorded"


BAD_ROWS = [
    ("tardis-csv", samples.TRADES, "42280,1e-05", "42280", "line 3: expected 8 columns, got 7"),
    ("tardis-csv", samples.TRADES, "42280,", "x,", "line 3: price: expected a number, got 'x'"),
    ("tardis-csv", samples.TRADES, "42280,", "-1,", "line 3: price: expected a number that is not negative"),
    ("tardis-csv", samples.TRADES, "42280,", "0,", "line 3: price: expected more than zero"),
    ("tardis-csv", samples.TRADES, "1e-05", "NaN", "line 3: amount: expected a number that is not negative, got 'NaN'"),
    ("tardis-csv", samples.TRADES, "1e-05", "1e400", "line 3: amount: expected a number that is not negative"),
    ("tardis-csv", samples.TRADES, f",{MICRO + 30_000_000},", ",soon,", "line 3: timestamp: expected digits"),
    ("tardis-csv", samples.TRADES, "BTCUSDT,1704067230", "ETHUSDT,1704067230", "line 3: symbol: expected BTCUSDT"),
    ("tardis-csv", samples.CHANGES, "false,bid,42283.9", "false,buy,42283.9", "line 6: side: expected bid or ask"),
    ("tardis-csv", samples.CHANGES, "false,bid,42283.9", "no,bid,42283.9", "line 6: is_snapshot: expected true"),
    ("tardis-csv", samples.SNAPSHOTS, ",42284.5,1,", ",42284.5,,", "line 2: amount: expected a number"),
    ("tardis-csv", samples.TICKER, "-0.00012", "--1", "line 2: funding_rate: expected"),
    ("binance-csv", samples.BINANCE_TRADES, str(MILLI), "1704067200", "line 2: time: expected milliseconds"),
    ("binance-csv", samples.BOOK_TICKER, "42314.00,6.702", "", "line 2: expected 7 columns, got 6"),
    ("binance-csv", samples.BOOK_DEPTH, "00:00:08,-1", "00:00,-1", "line 3: timestamp: expected a time such as"),
]


@pytest.mark.parametrize(("format", "text", "old", "new", "words"), BAD_ROWS)
def test_bad_rows_are_named_or_counted(
    tmp_path: Path, format: Format, text: str, old: str, new: str, words: str
) -> None:
    assert old in text
    path = plain(tmp_path / "file.csv", text.replace(old, new, 1))
    with pytest.raises(BadFile) as raised:
        load(format, tmp_path / "to", path)
    assert str(raised.value).startswith(f"{path}: {words}")
    imported = load(format, tmp_path / "skipped", path, skip_bad=True)
    assert imported.skipped == {str(path): 1}
    assert imported.first_skipped[str(path)].startswith(f"{path}: {words}")
    assert imported.rows > 0


def test_what_was_read_before_a_bad_row_is_there(tmp_path: Path) -> None:
    path = plain(tmp_path / "trades.csv", samples.TRADES.replace("42280,", "x,"))
    with pytest.raises(BadFile):
        load("tardis-csv", tmp_path / "to", path)
    assert len(of_topic(tmp_path / "to", TICKER)) == 1


def test_files_that_are_cut_short(tmp_path: Path) -> None:
    text = samples.TRADES + "".join(
        f"binance-futures,BTCUSDT,{MICRO + n},{MICRO + n},{n},buy,{n % 977 + 1}.{n * 7919 % 1000},1\n"
        for n in range(61_004_001, 61_030_000)
    )
    whole = gzipped(tmp_path / "whole.csv.gz", text)
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(whole.read_bytes()[:-5_000])
    with pytest.raises(BadFile, match=r"cut.csv.gz: line \d{4,}: expected more rows, got a damaged file"):
        load("tardis-csv", tmp_path / "cut", cut, skip_bad=True)
    assert len(frames(tmp_path / "cut")) > 10_000
    # The last row of a plain file that was cut has too few columns.
    plain_cut = plain(tmp_path / "cut.csv", samples.TRADES[:-20])
    with pytest.raises(BadFile, match=r"line 4: expected 8 columns, got 4"):
        load("tardis-csv", tmp_path / "plain", plain_cut)
    archive = zipped(tmp_path / "BTCUSDT-trades-1.zip", samples.BINANCE_TRADES)
    data = archive.read_bytes()
    archive.write_bytes(data[:-30])
    with pytest.raises(BadFile, match="expected a whole archive"):
        load("binance-csv", tmp_path / "archive", archive)
    # A wrong checksum.
    at = data.index(b"PK\x01\x02") + 16
    archive.write_bytes(data[:at] + struct.pack("<I", 1) + data[at + 4 :])
    with pytest.raises(BadFile, match="damaged file: Bad CRC-32"):
        load("binance-csv", tmp_path / "checksum", archive)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "expected rows, got an empty file"),
        (b"what,is,this\n1,2,3\n", "line 1: expected the header of a tardis.dev file"),
        (b"local_timestamp,timestamp\n1,2\n", "line 1: expected trades, incremental_book_L2"),
        (b"1704067200000000,1,2\n", "line 1: expected the header of a tardis.dev file"),
        (b"exchange,\xff\xfe\n", "got a damaged file"),
        (b"\x1f\x8bnot gzip", "got a damaged file"),
        (b"PKnot zip", "expected a whole archive"),
    ],
)
def test_files_that_are_something_else(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(content)
    with pytest.raises(BadFile) as raised:
        load("tardis-csv", tmp_path / "to", path)
    assert str(raised.value).startswith(f"{path}: ")
    assert words in str(raised.value)
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--symbol", SYMBOL], "expected a file"),
        (["none.csv", "--symbol", SYMBOL], "none.csv: can't be read: No such file"),
        (["none.csv", "--symbol", "btc"], "--symbol: expected a symbol"),
        (["none.csv", "--symbol", SYMBOL, "--intervals", "1,7"], "--intervals: expected some of"),
    ],
)
def test_arguments_that_can_not_be_used(tmp_path: Path, arguments: list[str], words: str) -> None:
    result = tickwire("import", "--format", "tardis-csv", *arguments, "--to", "to", home=tmp_path, cwd=tmp_path)
    assert (result.returncode, "Traceback" in result.stderr) == (1, False)
    assert words in result.stderr


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.lists(
            st.tuples(
                st.sampled_from(("bid", "ask")),
                st.integers(1, 12),
                st.sampled_from(("0", "1", "2.50", "0.0", "3e-7")),
            ),
            min_size=1,
            max_size=6,
        ),
        min_size=1,
        max_size=12,
    )
)
def test_the_book_is_that_of_the_file_whatever_changes(
    tmp_path_factory: pytest.TempPathFactory, steps: list[list[tuple[str, int, str]]]
) -> None:
    directory = tmp_path_factory.mktemp("import")
    lines = [samples.CHANGES.partition("\n")[0]]
    books: dict[str, dict[Decimal, Decimal]] = {"bid": {}, "ask": {}}
    bests = []
    for step, levels in enumerate(steps):
        for side, price, size in levels:
            lines.append(f"x,y,{MICRO + step},{MICRO + step},{'true' if step == 0 else 'false'},{side},{price},{size}")
            books[side].pop(Decimal(price), None)
            if Decimal(size):
                books[side][Decimal(price)] = Decimal(size)
        bests.append((max(books["bid"], default=None), min(books["ask"], default=None)))
    load("tardis-csv", directory / "to", plain(directory / "book.csv", "\n".join(lines)))
    state = state_after(frames(directory / "to"))
    for side, name in (("bid", "bids"), ("ask", "asks")):
        found = {price: Decimal(level[1]) for price, level in state[DELTA][name].items()}
        assert found == books[side]
    ticker = state.get(TICKER, {})
    for name, best in zip(("bidPrice", "askPrice"), bests[-1], strict=True):
        if best is not None:
            assert Decimal(ticker[name]) == best
