"""A bot that buys a dip with limit orders and sells the rebound: python examples/maker_bot.py

It keeps one bid a little below the market. Once that is filled it offers what it holds a little above its entry price,
and gives up where the loss gets too large. A short position that it finds it closes. Takes the server and the key from
TICKWIRE_URL, TICKWIRE_API_KEY and TICKWIRE_API_SECRET. Ctrl-C stops it: it cancels what it has in the market and leaves
a position as it is.
"""

import asyncio
import contextlib
import hashlib
import hmac
import json
import os
import signal
import time
from decimal import Decimal

import httpx
from websockets.asyncio.client import connect

URL = os.environ.get("TICKWIRE_URL", "http://127.0.0.1:8080")
KEY, SECRET = os.environ["TICKWIRE_API_KEY"], os.environ["TICKWIRE_API_SECRET"]
PATH = "/api/v1/trade/order"
SYMBOL, TICK, AMOUNT = "BTCUSDT.PERP", Decimal("0.1"), "1000"
WIDTH = Decimal(os.environ.get("WIDTH", "0.0006"))  # of the price; the fees of both orders are 0.0004
STOP = 4 * WIDTH


def signed(method, target, body=b""):
    expires = str(int(time.time()) + 30)
    message = (method + target + expires).encode() + body
    signature = hmac.new(SECRET.encode(), message, hashlib.sha256).hexdigest()
    return {"api-key": KEY, "api-expires": expires, "api-signature": signature}


def wanted(mid, held, entry):
    """The one order that should be in the market now."""
    if not held:
        return {"side": "BUY", "type": "LIMIT", "amount": AMOUNT, "price": (mid * (1 - WIDTH)).quantize(TICK)}
    if held < 0:
        return {"side": "BUY", "type": "MARKET", "quantity": str(-held), "reduceOnly": True}
    if mid < entry * (1 - STOP):
        return {"side": "SELL", "type": "MARKET", "quantity": str(held), "reduceOnly": True}
    price = (entry * (1 + WIDTH)).quantize(TICK)
    return {"side": "SELL", "type": "LIMIT", "quantity": str(held), "price": price, "reduceOnly": True}


def fits(order, want, mid):
    """Whether an open order is still what we want; prices may be off by a quarter of the width."""
    if (order["side"], order["orderType"]) != (want["side"], want["type"]):
        return False
    return order["price"] is None or abs(Decimal(order["price"]) - want["price"]) <= mid * WIDTH / 4


async def call(http, method, **fields):
    body = json.dumps({"symbol": SYMBOL, **fields}, default=str).encode()
    headers = signed(method, PATH, body)
    reply = await http.request(method, PATH, content=body, headers=headers)
    # An order that has just been filled can no longer be cancelled: no reason to stop.
    if reply.status_code != 200 and reply.json()["error"] != "OrderNotFound":
        raise SystemExit(f"{method} refused: {reply.text}")
    return reply.json()


async def trade(http, stream):
    ticker, orders, cancelling, held, entry = {}, {}, set(), Decimal(0), Decimal(0)
    try:
        async for text in stream:
            frame = json.loads(text)
            if "topic" not in frame:
                continue  # the reply to our subscribe
            for row in frame["data"][0]["rows"]:
                if row["symbol"] != SYMBOL:
                    continue
                if frame["topic"] == "account.position":
                    held = Decimal(row["positionQty"]) * (-1 if row["positionSide"] == "SHORT" else 1)
                    entry = Decimal(row["entryPrice"] or 0)
                elif frame["topic"] == "account.order":
                    print(row["side"], row["quantity"], row["price"], row["status"], flush=True)
                    orders.pop(row["orderId"], None)
                    if row["status"] in ("NEW", "PARTIALLY_FILLED"):
                        orders[row["orderId"]] = row
                else:
                    ticker.update(row)
            if not frame["topic"].startswith("ticker") or not (ticker["bidPrice"] and ticker["askPrice"]):
                continue
            mid = (Decimal(ticker["bidPrice"]) + Decimal(ticker["askPrice"])) / 2
            want = wanted(mid, held, entry)
            # An order leaves `orders` when the stream says that it has ended: it may be filled before it is cancelled.
            for id, order in orders.items():
                if id not in cancelling and not fits(order, want, mid):
                    cancelling.add(id)
                    await call(http, "DELETE", orderId=id)
            if not orders:
                order = (await call(http, "POST", **want))["order"]
                orders[order["orderId"]] = order
    finally:
        for id in orders:
            await call(http, "DELETE", orderId=id)


async def main():
    address = URL.replace("http", "ws", 1) + "/api/v1/stream"
    async with (
        httpx.AsyncClient(base_url=URL) as http,
        connect(address, additional_headers=signed("GET", "/api/v1/stream")) as stream,
    ):
        # Ending the stream, not the task: an order that is on its way is then known when the loop ends.
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, lambda: loop.create_task(stream.close()))
        topics = [f"ticker.{SYMBOL}", "account.order", "account.position"]
        await stream.send(json.dumps({"op": "subscribe", "args": topics}))
        await trade(http, stream)


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
