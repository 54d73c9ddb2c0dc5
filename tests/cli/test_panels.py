"""The panels of the live screen, as texts."""

from typing import Any

import pytest
from rich.console import Console, RenderableType

from tickwire.cli.panels import account_panel, book_panel, event_line, ticker_panel
from tickwire.client.events import BadFrame, Connected, Gap, Reconnecting, Refused, Resynchronised
from tickwire.wire import rows


def text(content: RenderableType, width: int = 120) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(content)
    return captured.get()


def ticker(**fields: Any) -> rows.Ticker:
    none: dict[str, Any] = dict.fromkeys(rows.Ticker.__struct_fields__)
    return rows.Ticker(**none | {"symbol": "S"} | fields)


def test_a_ticker_with_its_change_and_the_time_to_the_next_funding() -> None:
    row = ticker(
        last_price="110",
        price_change24h="10",
        funding_rate="0.0001",
        next_funding_time=str(3_725 * 10**9),
        bid_price="109",
    )
    shown = text(ticker_panel(row, 10**9))
    assert "110  +10 (+10.00 %)" in shown
    assert "0.0100 % in 1:02:04" in shown
    assert "109" in shown


def test_a_ticker_of_a_market_without_a_trade() -> None:
    assert "no trade yet" in text(ticker_panel(ticker(), 0))


def test_a_ticker_that_came_from_nothing_has_no_percentage() -> None:
    shown = text(ticker_panel(ticker(last_price="5", price_change24h="5"), 0))
    assert "+5" in shown
    assert "%" not in shown


BOOK = rows.Orderbook("S", bids=[("99", "1"), ("98", "3")], asks=[("101", "2"), ("102", "2")])


def test_a_book_has_asks_above_bids_and_bars_of_what_stands_up_to_each_level() -> None:
    assert book_panel(BOOK, 14, 10).plain.split("\n") == [
        "102 2 ███████",
        "101 2 ███▌",
        "spread 2",
        " 99 1 █▊",
        " 98 3 ███████",
    ]


def test_a_book_shows_as_many_levels_as_fit() -> None:
    lines = book_panel(BOOK, 14, 3).plain.split("\n")
    assert [line.split()[0] for line in lines] == ["101", "spread", "99"]


def test_a_book_of_one_side_or_none() -> None:
    assert book_panel(rows.Orderbook("S", bids=[("9", "1")], asks=[]), 14, 10).plain.startswith("9 1 █")
    assert book_panel(rows.Orderbook("S", bids=[], asks=[]), 14, 10).plain == ""


def test_an_account_that_is_not_there_yet() -> None:
    assert "waiting for the server" in text(account_panel(None, [], []))


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Connected(0, 2), "connected (2)"),
        (
            Reconnecting(0, "server stopping", 1001, 0.52, 1),
            "connection lost: 1001 server stopping; trying again in 0.5 s",
        ),
        (Reconnecting(0, "refused", 0, 1.0, 1), "connection lost: refused; trying again in 1.0 s"),
        (Gap(0, "t", "seq"), "t: something is missing: seq"),
        (Resynchronised(0, "t", "rest"), "t: whole, from rest"),
        (Refused(0, "subscribe", ("a", "b"), "E", "m"), "refused: subscribe a b: E: m"),
        (BadFrame(0, "no JSON", b"x"), "a frame that could not be read: no JSON"),
    ],
)
def test_events_in_words(event: object, words: str) -> None:
    assert event_line(event)[0] == words
