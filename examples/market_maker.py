"""A market maker with tickwire's client: python examples/market_maker.py

It keeps a bid and an offer around the middle of the book, and leans against what it holds: the longer it is, the lower
both. Takes the server and the key from TICKWIRE_URL, TICKWIRE_API_KEY and TICKWIRE_API_SECRET. Ctrl-C stops it: it
takes its orders back, and leaves a position as it is.
"""

import asyncio
import contextlib
import os
import signal
from decimal import Decimal

from tickwire.client import ApiError, Client, decimal
from tickwire.wire.rows import Order

SYMBOL = "BTCUSDT.PERP"
QUANTITY = Decimal(os.environ.get("QUANTITY", "0.01"))
LIMIT = 10 * QUANTITY  # it holds no more than this, either way
WIDTH = Decimal(os.environ.get("WIDTH", "0.0003"))  # of the price, from the middle to each side


class Maker:
    """What it has in the market, and what it wants there."""

    def __init__(self, client: Client, tick: Decimal) -> None:
        self.client = client
        self.tick = tick
        self.held = Decimal(0)
        self.quotes: dict[str, Order] = {}  # by side

    def wanted(self, bid: Decimal, ask: Decimal) -> dict[str, Decimal]:
        """The price on each side; none on the side on which it holds enough."""
        middle = (bid + ask) / 2 * (1 - WIDTH * self.held / LIMIT)
        prices = {"BUY": min(middle * (1 - WIDTH), bid), "SELL": max(middle * (1 + WIDTH), ask)}
        full = "BUY" if self.held >= LIMIT else "SELL" if self.held <= -LIMIT else None
        return {side: price // self.tick * self.tick for side, price in prices.items() if side != full}

    async def quote(self, bid: Decimal, ask: Decimal) -> None:
        """Move the orders that are too far from where they should be."""
        wanted = self.wanted(bid, ask)
        for side in ("BUY", "SELL"):
            order = self.quotes.get(side)
            if order is not None:
                if side in wanted and abs(decimal(order.price or "0") - wanted[side]) < ask * WIDTH / 2:
                    continue
                await self.cancel(order)
            if side in wanted:
                placed = await self.client.rest.place_order(SYMBOL, side, QUANTITY, price=wanted[side])
                if placed.status in ("NEW", "PARTIALLY_FILLED"):
                    self.quotes[side] = placed

    async def cancel(self, order: Order) -> None:
        """Take an order back."""
        self.quotes.pop(order.side, None)
        try:
            await self.client.rest.cancel_order(SYMBOL, order.order_id)
        except ApiError as error:
            if error.code != "OrderNotFound":  # it has just been filled
                raise

    async def follow_orders(self) -> None:
        """Forget orders that have ended."""
        async for order in self.client.orders():
            if order.status == "FILLED":
                print(order.side, order.quantity, "at", order.price, "filled", flush=True)
            quote = self.quotes.get(order.side)
            if (
                quote is not None
                and order.order_id == quote.order_id
                and order.status not in ("NEW", "PARTIALLY_FILLED")
            ):
                del self.quotes[order.side]

    async def follow_position(self) -> None:
        """Know what it holds."""
        async for position in self.client.positions():
            if position.symbol == SYMBOL:
                self.held = decimal(position.position_qty or "0") * (-1 if position.position_side == "SHORT" else 1)


async def main() -> None:
    url, key, secret = (os.environ.get(f"TICKWIRE_{name}", "") for name in ("URL", "API_KEY", "API_SECRET"))
    async with Client(url or "http://127.0.0.1:8080", key, secret) as client:
        contract = await client.rest.contract(SYMBOL)
        maker = Maker(client, decimal(contract.tick_size or "1"))
        books = client.order_book(SYMBOL, depth=1)
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, books.close)
        followers = [asyncio.create_task(maker.follow_orders()), asyncio.create_task(maker.follow_position())]
        try:
            async for book in books:
                if book.best_bid and book.best_ask:
                    await maker.quote(decimal(book.best_bid[0]), decimal(book.best_ask[0]))
        finally:
            for task in followers:
                task.cancel()
            for order in list(maker.quotes.values()):
                await maker.cancel(order)


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
