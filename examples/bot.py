"""A bot in forty lines: python examples/bot.py

When the last price moves away from its short average, the bot bets on its return and closes the position once it is
back. Server and key come from TICKWIRE_URL, TICKWIRE_API_KEY and TICKWIRE_API_SECRET. Ctrl-C stops it; a position that
is open then stays open.
"""

import contextlib
import hashlib
import hmac
import json
import os
import time
from collections import deque
from decimal import Decimal

import httpx
from websockets.sync.client import connect

URL, KEY, SECRET = (os.environ[f"TICKWIRE_{name}"] for name in ("URL", "API_KEY", "API_SECRET"))
ORDER, STREAM, SYMBOL = "/api/v1/trade/order", "/api/v1/stream", "BTCUSDT.PERP"
PRICES = int(os.environ.get("PRICES", "20"))  # that the average is made of
DISTANCE = Decimal(os.environ.get("DISTANCE", "0.00005"))  # from the average, as a fraction of it


def signed(method, target, body=""):
    expires = str(int(time.time()) + 30)
    signature = hmac.new(SECRET.encode(), f"{method}{target}{expires}{body}".encode(), hashlib.sha256).hexdigest()
    return {"api-key": KEY, "api-expires": expires, "api-signature": signature}


def send(side, **fields):
    body = json.dumps({"symbol": SYMBOL, "side": side, "type": "MARKET", **fields})
    reply = httpx.post(URL + ORDER, content=body, headers=signed("POST", ORDER, body))
    order = reply.raise_for_status().json()["order"]
    print("order", order["side"], order["quantity"], order["status"], flush=True)


prices, held, acted_on = deque(maxlen=PRICES), Decimal(0), None
address = URL.replace("http", "ws", 1) + STREAM
with contextlib.suppress(KeyboardInterrupt), connect(address, additional_headers=signed("GET", STREAM)) as stream:
    stream.send(json.dumps({"op": "subscribe", "args": [f"ticker.{SYMBOL}", "account.position"]}))
    for frame in map(json.loads, stream):
        for row in frame["data"][0]["rows"] if "topic" in frame else []:  # no topic: the reply to our subscribe
            if frame["topic"] == "account.position" and row["symbol"] == SYMBOL:
                held = Decimal(row["positionQty"]) * (-1 if row["positionSide"] == "SHORT" else 1)
                print("position", held, "at", row["entryPrice"], "profit", row["unrealizedPnl"], flush=True)
            if row.get("lastPrice"):
                prices.append(Decimal(row["lastPrice"]))
                away = prices[-1] / (sum(prices) / len(prices)) - 1
                if held == acted_on or len(prices) < PRICES:
                    continue  # what our last order did is not on the stream yet, or it is too early
                if not held and abs(away) > DISTANCE:
                    acted_on = held
                    send("SELL" if away > 0 else "BUY", amount="1000")
                elif held * away > 0:
                    acted_on = held
                    send("SELL" if held > 0 else "BUY", quantity=str(abs(held)), reduceOnly=True)
