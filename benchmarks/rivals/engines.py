"""A child of the benchmark ``engine``: the same flow through a matching engine from PyPI, as far as its API can.

``python engines.py NAME SECONDS < FLOW`` with the Python of the rivals' own environment, which has nothing of tickwire;
FLOW is JSON, a list of ``["limit", id, side, price, quantity]``, ``["market", id, side, price, quantity]`` with the
price it may go to, and ``["cancel", id]``. It does them in their order until SECONDS of CPU have passed, and prints how
many those were and how long they took.

None of them has accounts, margins, fees, stops or market orders that end, and none keeps a history. So a market order
is a limit order at its worst price whose remainder is cancelled, and cancelling what is gone is passed over.
"""

import json
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

Place = Callable[[int, int, int, int], None]  # id, side, price, quantity
Cancel = Callable[[int], None]


def lightmatchingengine() -> tuple[Place, Cancel]:
    from lightmatchingengine.lightmatchingengine import LightMatchingEngine

    engine = LightMatchingEngine()
    ids: dict[int, int] = {}

    def place(number: int, side: int, price: int, quantity: int) -> None:
        ids[number] = engine.add_order("BTCUSDT", price, quantity, 1 if side > 0 else 2)[0].order_id

    def cancel(number: int) -> None:
        book = engine.order_books["BTCUSDT"]
        order = book.order_id_map.get(ids[number])
        if order is not None and order.leaves_qty:  # it forgets to drop what has filled from its map
            engine.cancel_order(order.order_id, "BTCUSDT")

    return place, cancel


def pyorderbook() -> tuple[Place, Cancel]:
    from pyorderbook import Book, Order, Side

    book = Book()
    orders: dict[int, Order] = {}

    def place(number: int, side: int, price: int, quantity: int) -> None:
        order = orders[number] = Order(Side.BID if side > 0 else Side.ASK, "BTCUSDT", price, quantity)
        book.match(order)

    def cancel(number: int) -> None:
        order = orders.pop(number)
        if order.id in book.order_map:
            book.cancel(order)

    return place, cancel


def order_matching() -> tuple[Place, Cancel]:
    from loguru import logger
    from order_matching.enums import Side
    from order_matching.matching_engine import MatchingEngine
    from order_matching.order import LimitOrder
    from order_matching.orders import Orders

    logger.remove()  # it writes a line for every order otherwise
    engine = MatchingEngine(seed=1)
    now = datetime(2025, 1, 1)

    def place(number: int, side: int, price: int, quantity: int) -> None:
        nonlocal now
        now += timedelta(milliseconds=1)
        order = LimitOrder(
            side=Side.BUY if side > 0 else Side.SELL,
            price=float(price),
            size=float(quantity),
            timestamp=now,
            order_id=str(number),
            trader_id="trader",
        )
        engine.place(orders=Orders([order]))
        engine.match(timestamp=now)

    def cancel(number: int) -> None:
        if engine.unprocessed_orders.find_order_by_id(str(number)) is not None:
            engine.cancel_order(str(number))

    return place, cancel


RIVALS = {
    "lightmatchingengine": lightmatchingengine,
    "pyorderbook": pyorderbook,
    "order-matching": order_matching,
}


def main(name: str, seconds: float, flow: list[list[Any]]) -> tuple[int, float]:
    """How many operations it has done, and the CPU seconds they took."""
    place, cancel = RIVALS[name]()
    begin = time.process_time()
    end = begin + seconds
    for count, (kind, number, *values) in enumerate(flow):
        if kind == "cancel":
            cancel(number)
        else:
            place(number, *values)
            if kind == "market":
                cancel(number)
        if not count % 100 and time.process_time() > end:
            return count + 1, time.process_time() - begin
    return len(flow), time.process_time() - begin


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], float(sys.argv[2]), json.load(sys.stdin))))
