"""What a program makes of frames with ``json.loads``: dicts and floats, as a short script has them, or as ccxt does.

Only the standard library: rivals run it in an environment of their own.
"""

import json
import time
from bisect import bisect_left, insort
from collections.abc import Callable
from typing import Any

__all__ = ["CcxtBook", "DictBook", "ccxt_ticker", "handler"]


class DictBook:
    """A book as a short script keeps it: sizes by price, prices sorted; floats, as json and scripts have them."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[float, float]] = {"bids": {}, "asks": {}}
        self.prices: dict[str, list[float]] = {"bids": [], "asks": []}

    def apply(self, row: dict[str, Any]) -> None:
        """Set and remove levels."""
        for name, side in self.sides.items():
            prices = self.prices[name]
            for price_text, size_text in row[name]:
                price, size = float(price_text), float(size_text)
                if size:
                    if price not in side:
                        insort(prices, price)
                    side[price] = size
                elif side.pop(price, None) is not None:
                    del prices[bisect_left(prices, price)]


class CcxtBook:
    """A book in the manner of ccxt: a list of [price, size] for each side, and an index beside it to search in."""

    def __init__(self) -> None:
        self.sides: dict[str, list[list[float]]] = {"bids": [], "asks": []}
        self.indices: dict[str, list[float]] = {"bids": [], "asks": []}

    def apply(self, row: dict[str, Any]) -> None:
        """Store each delta as ccxt's OrderBookSide does."""
        for name, levels in self.sides.items():
            index = self.indices[name]
            for delta in row[name]:
                price, size = float(delta[0]), float(delta[1])
                key = -price if name == "bids" else price
                at = bisect_left(index, key)
                known = at < len(index) and index[at] == key
                if size:
                    if known:
                        levels[at][1] = size
                    else:
                        index.insert(at, key)
                        levels.insert(at, [price, size])
                elif known:
                    del index[at]
                    del levels[at]


def ccxt_ticker(row: dict[str, Any], ts: str) -> dict[str, Any]:
    """The unified ticker that ccxt makes of a frame: numbers from texts, names of its own, the raw row as ``info``."""

    def number(name: str) -> float | None:
        value = row.get(name)
        return None if value is None or value == "" else float(value)

    last, change = number("lastPrice"), number("priceChange24h")
    opened = last - change if last is not None and change is not None else None
    milliseconds = int(ts) // 1_000_000
    return {
        "symbol": row["symbol"],
        "timestamp": milliseconds,
        "datetime": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds / 1000)),
        "bid": number("bidPrice"),
        "bidVolume": None,
        "ask": number("askPrice"),
        "askVolume": None,
        "open": opened,
        "close": last,
        "last": last,
        "change": change,
        "percentage": change / opened * 100 if change is not None and opened else None,
        "baseVolume": number("volume24h"),
        "quoteVolume": number("turnover24h"),
        "markPrice": number("markPrice"),
        "indexPrice": number("indexPrice"),
        "info": row,
    }


def handler(name: str, kind: str) -> Callable[[Any], None]:
    """What is done with each frame's text: ``json.loads`` and a merged dict, or what ccxt does."""
    state: dict[str, Any] = {}
    if kind == "ticker" and name == "ccxt":

        def ticker(text: Any) -> None:
            frame = json.loads(text)
            for change in frame["data"]:
                for row in change["rows"]:
                    state.update(ccxt_ticker({**state.get("info", {}), **row}, frame["ts"]))

        return ticker
    if kind == "ticker":

        def merge(text: Any) -> None:
            for change in json.loads(text)["data"]:
                for row in change["rows"]:
                    state.update(row)

        return merge
    book = CcxtBook() if name == "ccxt" else DictBook()

    def change_book(text: Any) -> None:
        for change in json.loads(text)["data"]:
            for row in change["rows"]:
                book.apply(row)

    return change_book
