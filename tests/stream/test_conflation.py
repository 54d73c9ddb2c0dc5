"""Merged frames, compared with what a client makes of every single frame."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.stream.conflation import Pending
from tickwire.wire.envelope import data_frame
from tickwire.wire.topics import Topic, parse_topic

SYMBOL = "BTCUSDT.PERP"
TICKER, BOOK, DELTA, KLINE = (
    parse_topic(f"{kind}.{SYMBOL}") for kind in ("ticker", "orderbook", "orderbook.delta", "kline.1")
)
ACCOUNT, MARGIN, BALANCE, POSITION = (
    parse_topic(name) for name in ("account", "account.margin", "account.balance", "account.position")
)

Message = dict[str, Any]
Update = tuple[str, list[Any]]  # action and rows


class Client:
    """What a careful client knows of one topic: the plain reading of its frames."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.state: Any = None
        self.sequence: int | None = None
        self.closed: list[Any] = []  # the last row of each candle that another one has followed
        self.time = 0

    def read(self, payload: bytes) -> None:
        message = msgspec.json.decode(payload)
        assert message["topic"] == self.topic.name
        assert int(message["ts"]) >= self.time
        self.time = int(message["ts"])
        (part,) = message["data"]
        if part["actionType"] == "SNAPSHOT":
            self.state, self.closed = None, []
        for row in part["rows"]:
            self._read_row(row, part["actionType"])

    def _read_row(self, row: Any, action: str) -> None:
        if self.topic is KLINE:
            if self.state is not None and self.state[0] != row[0]:
                self.closed.append(self.state)
            self.state = row
        elif "seq" in row:
            assert action == "SNAPSHOT" or row["prevSeq"] == self.sequence
            self.sequence = row["seq"]
            self.state = self.state or {"bids": {}, "asks": {}}
            for side in ("bids", "asks"):
                for price, quantity in row[side]:
                    self.state[side].pop(price, None)
                    if quantity != "0":
                        self.state[side][price] = quantity
        elif "bids" in row:
            self.state = row
        else:
            name = row.get("asset") or row.get("currency") or row.get("symbol")
            self.state = self.state or {}
            self.state[name] = self.state.get(name, {}) | row


numbers = st.integers(0, 9).map(str)
names = st.sampled_from(["A", "B", "C"])


@st.composite
def rows_of(draw: st.DrawFn, name: str) -> list[Update]:
    """Rows told apart by a field, whole ones."""
    count = draw(st.integers(1, 12))
    return [
        ("UPDATE", [{name: each, "x": draw(numbers), "y": draw(numbers)} for each in draw(st.sets(names, min_size=1))])
        for _ in range(count)
    ]


@st.composite
def ticker_rows(draw: st.DrawFn) -> list[Update]:
    fields = st.dictionaries(st.sampled_from(["bidPrice", "askPrice", "lastPrice", "markPrice"]), numbers)
    return [("UPDATE", [{"symbol": SYMBOL} | fields]) for fields in draw(st.lists(fields, max_size=12))]


@st.composite
def deltas(draw: st.DrawFn) -> list[Update]:
    side = st.lists(st.tuples(numbers, numbers), max_size=4, unique_by=lambda level: level[0])
    sequence = draw(st.integers(0, 5))
    return [
        ("UPDATE", [{"symbol": SYMBOL, "seq": seq, "prevSeq": seq - 1, "bids": draw(side), "asks": draw(side)}])
        for seq in range(sequence + 1, sequence + 1 + draw(st.integers(0, 12)))
    ]


@st.composite
def candles(draw: st.DrawFn) -> list[Update]:
    found: list[Update] = []
    for start in range(draw(st.integers(1, 4))):
        found += [("UPDATE", [[str(start), draw(numbers)]]) for _ in range(draw(st.integers(1, 4)))]
    return found


@st.composite
def books(draw: st.DrawFn) -> list[Update]:
    side = st.lists(st.tuples(numbers, numbers), max_size=3)
    return [
        ("SNAPSHOT", [{"symbol": SYMBOL, "bids": draw(side), "asks": draw(side)}])
        for _ in range(draw(st.integers(1, 6)))
    ]


CASES: list[tuple[Topic, st.SearchStrategy[list[Update]]]] = [
    (TICKER, ticker_rows()),
    (KLINE, candles()),
    (BOOK, books()),
    (BOOK, deltas()),  # orderbook_mode = delta
    (DELTA, deltas()),
    (ACCOUNT, st.lists(numbers.map(lambda value: ("UPDATE", [{"totalWalletBalance": value}])), min_size=1)),
    (MARGIN, rows_of("currency")),
    (BALANCE, rows_of("asset")),
    (POSITION, rows_of("symbol")),
]


def snapshot(topic: Topic, updates: list[Update]) -> Update:
    """Some state to begin with, from which the updates follow."""
    first = updates[0][1][0] if updates else None
    if topic is KLINE:
        return "SNAPSHOT", [] if first is None else [[first[0], "1"]]
    if isinstance(first, dict) and "seq" in first:
        return "SNAPSHOT", [first | {"seq": first["prevSeq"], "bids": [["1", "5"]], "asks": [["2", "5"]]}]
    return "SNAPSHOT", []


@pytest.mark.parametrize(("topic", "strategy"), CASES)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_client_of_merged_frames_knows_what_one_of_all_frames_does(
    topic: Topic, strategy: st.SearchStrategy[list[Update]], data: st.DataObject
) -> None:
    updates = data.draw(strategy)
    begin = snapshot(topic, updates)
    if updates and data.draw(st.booleans()):
        # A SNAPSHOT in the midst, as a feed may bring it when it has lost its source.
        at = data.draw(st.integers(0, len(updates) - 1))
        updates.insert(at, snapshot(topic, updates[at:]))
    plain, merged = Client(topic), Client(topic)
    for client in (plain, merged):
        client.read(data_frame(topic.name, 1, *begin))  # type: ignore[arg-type]
    pending, newer = Pending(topic), Pending(topic)
    cut = data.draw(st.integers(0, len(updates)))
    offset = 0
    for number, (action, rows) in enumerate(updates):
        payload = data_frame(topic.name, number + 2, action, rows)  # type: ignore[arg-type]
        plain.read(payload)
        (pending if number < cut else newer).add(number + 1, payload)
    before = newer.payloads()
    pending.absorb(newer)
    assert bool(pending) is bool(updates)
    payloads = pending.payloads()
    assert payloads == pending.payloads(), "reading changes nothing"
    for number, payload in payloads:
        assert number > offset
        offset = number
        merged.read(payload)
    assert offset == len(updates)
    assert (merged.state, merged.sequence, merged.closed) == (plain.state, plain.sequence, plain.closed)
    assert merged.time == plain.time
    # One frame, but for closed candles and what follows a SNAPSHOT in the midst.
    assert len(payloads) <= 2 or topic is KLINE
    # Whoever knows what was before the cut gets there by the newer part alone.
    late = Client(topic)
    for number, (action, rows) in enumerate([begin, *updates[:cut]]):
        late.read(data_frame(topic.name, number + 1, action, rows))  # type: ignore[arg-type]
    for _, payload in before:
        late.read(payload)
    assert (late.state, late.sequence, late.closed) == (plain.state, plain.sequence, plain.closed)


def test_one_frame_alone_goes_out_as_it_came() -> None:
    for topic, rows in ((TICKER, [{"symbol": SYMBOL, "bidPrice": "1"}]), (BALANCE, [{"asset": "USDT"}])):
        payload = data_frame(topic.name, 7, "UPDATE", rows)
        pending = Pending(topic)
        pending.add(5, payload)
        ((offset, same),) = pending.payloads()
        assert offset == 5
        assert same is payload


def test_the_last_push_of_a_closed_candle_keeps_its_own_time_and_offset() -> None:
    pending = Pending(KLINE)
    for offset, (start, close) in enumerate([("60", "1"), ("60", "2"), ("120", "2"), ("120", "3")], 1):
        pending.add(offset, data_frame(KLINE.name, 1000 + offset, "UPDATE", [[start, close]]))
    assert pending.payloads() == [
        (2, data_frame(KLINE.name, 1002, "UPDATE", [["60", "2"]])),
        (4, data_frame(KLINE.name, 1004, "UPDATE", [["120", "3"]])),
    ]


def test_offsets_never_fall_even_where_an_old_candle_is_corrected() -> None:
    pending = Pending(KLINE)
    for offset, start in enumerate(["60", "120", "60"], 1):
        pending.add(offset, data_frame(KLINE.name, offset, "UPDATE", [[start, str(offset)]]))
    assert [offset for offset, _ in pending.payloads()] == [2, 3]


def test_a_book_of_another_source_needs_no_numbers() -> None:
    pending = Pending(BOOK)
    for quantity in ("1", "0"):
        row = {"symbol": SYMBOL, "bids": [["5", quantity]], "asks": []}
        pending.add(1, data_frame(BOOK.name, 1, "UPDATE", [row]))
    assert pending.payloads() == [(1, data_frame(BOOK.name, 1, "UPDATE", [row]))]
