"""A momentum bot with tickwire's client: python examples/momentum.py

It goes with a move that is larger than DISTANCE within the last PRICES prices, and gets out when the price has turned
by half of that. Takes the server and the key from TICKWIRE_URL, TICKWIRE_API_KEY and TICKWIRE_API_SECRET. Ctrl-C stops
it, and leaves a position as it is.
"""

import asyncio
import contextlib
import os
from collections import deque
from decimal import Decimal

from tickwire.client import Client, decimal

SYMBOL = "BTCUSDT.PERP"
AMOUNT = os.environ.get("AMOUNT", "1000")  # in USDT
PRICES = int(os.environ.get("PRICES", "50"))
DISTANCE = Decimal(os.environ.get("DISTANCE", "0.0005"))  # of the price


async def trade(client: Client) -> None:
    recent: deque[Decimal] = deque(maxlen=PRICES)
    held, best = Decimal(0), Decimal(0)  # the position, and the best price since it was opened
    async with client.ticker(SYMBOL) as tickers:
        async for ticker in tickers:
            if ticker.bid_price is None or ticker.ask_price is None:
                continue
            middle = (decimal(ticker.bid_price) + decimal(ticker.ask_price)) / 2
            recent.append(middle)
            move = middle / recent[0] - 1
            if not held and len(recent) == PRICES and abs(move) > DISTANCE:
                order = await client.rest.place_order(SYMBOL, "BUY" if move > 0 else "SELL", amount=AMOUNT)
                held, best = await position(client), middle
                print("in ", order.side, held, "at", middle, flush=True)
            elif held:
                best = max(best, middle) if held > 0 else min(best, middle)
                if abs(middle / best - 1) > DISTANCE / 2:
                    side = "SELL" if held > 0 else "BUY"
                    await client.rest.place_order(SYMBOL, side, abs(held), reduce_only=True)
                    held = await position(client)
                    recent.clear()
                    print("out", side, held, "at", middle, flush=True)


async def position(client: Client) -> Decimal:
    """What the account holds: negative when it is short."""
    for row in await client.rest.positions(SYMBOL):
        return decimal(row.position_qty or "0") * (-1 if row.position_side == "SHORT" else 1)
    return Decimal(0)


async def main() -> None:
    url, key, secret = (os.environ.get(f"TICKWIRE_{name}", "") for name in ("URL", "API_KEY", "API_SECRET"))
    async with Client(url or "http://127.0.0.1:8080", key, secret) as client:
        await trade(client)


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
