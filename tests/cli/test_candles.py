"""Candles drawn with characters."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.cli.candles import draw_candles
from tickwire.client.replies import Candle


def candle(opened: str, high: str, low: str, close: str, volume: str = "1") -> Candle:
    return Candle("0", opened, high, low, close, volume, "0")


def test_a_rise_and_a_fall() -> None:
    text = draw_candles(
        [candle("10", "50", "0", "40", "4"), candle("40", "45", "20", "20", "2"), candle("20", "20", "20", "20", "0")],
        12,
        6,
    )
    assert text.plain.split("\n") == ["╽╽  50", "┃┃    ", "┃┃╻ 20", "┃     ", "│    0", "█▄ "]
    assert [str(span.style) for span in text.spans[:2]] == ["green", "red"]


prices = st.integers(1, 10**9)


@st.composite
def candles(draw: st.DrawFn) -> Candle:
    low, *middle, high = sorted(draw(st.lists(prices, min_size=4, max_size=4)))
    opened, close = draw(st.permutations(middle))
    places = 1
    texts = [str(Decimal(price).scaleb(-places)) for price in (opened, high, low, close)]
    return candle(*texts, volume=str(draw(st.integers(0, 1000))))


@settings(deadline=None)
@given(st.lists(candles(), max_size=60), st.integers(0, 60), st.integers(0, 30))
def test_it_keeps_to_its_place(rows: list[Candle], width: int, height: int) -> None:
    lines = draw_candles(rows, width, height).plain.split("\n")
    assert len(lines) <= max(height, 1)
    assert all(len(line) <= max(width, 0) for line in lines)


@settings(deadline=None)
@given(st.lists(candles(), min_size=1, max_size=30))
def test_each_candle_is_one_line_without_holes(rows: list[Candle]) -> None:
    lines = draw_candles(rows, 60, 20).plain.split("\n")[:-1]
    for column in range(len(rows)):
        cells = "".join(line[column] for line in lines).strip()
        assert cells
        assert " " not in cells


@settings(deadline=None)
@given(st.lists(candles(), min_size=1, max_size=30))
def test_the_last_close_is_named(rows: list[Candle]) -> None:
    assert rows[-1].close in draw_candles(rows, 60, 20).plain


def test_no_candles_and_no_place() -> None:
    assert draw_candles([], 60, 20).plain == ""
    assert draw_candles([candle("1", "1", "1", "1")], 3, 20).plain == ""
    assert draw_candles([candle("1", "1", "1", "1")], 60, 2).plain == ""
