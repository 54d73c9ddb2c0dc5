"""Place an order and watch the position move: python examples/first_order.py

Takes the server and the key from TICKWIRE_URL, TICKWIRE_API_KEY and TICKWIRE_API_SECRET; without them, those that
`tickwire serve` has noted in ./tickwire-data.
"""

import asyncio
import hashlib
import hmac
import json
import os
import time
from pathlib import Path

import httpx
from websockets.asyncio.client import ClientConnection, connect

SYMBOL = "BTCUSDT.PERP"
SECONDS = 5  # to watch the position before it is closed

if "TICKWIRE_API_KEY" in os.environ:
    url = os.environ.get("TICKWIRE_URL", "http://127.0.0.1:8080")
    key, secret = os.environ["TICKWIRE_API_KEY"], os.environ["TICKWIRE_API_SECRET"]
else:
    server = json.loads(Path("tickwire-data/server.json").read_text())
    url, key, secret = server["url"], server["demo_key"], server["demo_secret"]


def signed(method: str, target: str, body: bytes = b"") -> dict[str, str]:
    """The three headers that every request needs, the stream's handshake too."""
    expires = str(int(time.time()) + 30)
    message = (method + target + expires).encode() + body
    signature = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
    return {"api-key": key, "api-expires": expires, "api-signature": signature}


async def place(http: httpx.AsyncClient, **order: object) -> dict[str, str]:
    body = json.dumps({"symbol": SYMBOL, **order}).encode()
    reply = await http.post("/api/v1/trade/order", content=body, headers=signed("POST", "/api/v1/trade/order", body))
    if reply.status_code != 200:
        raise SystemExit(f"refused: {reply.text}")
    placed: dict[str, str] = reply.json()["order"]
    print(f"order     {placed['side']} {placed['quantity']} {placed['status']}")
    return placed


async def watch(stream: ClientConnection) -> None:
    """Print the position each time the server sends it, until it is closed."""
    async for text in stream:
        frame = json.loads(text)
        if frame.get("topic") != "account.position":
            continue  # the reply to our subscribe
        for row in frame["data"][0]["rows"]:
            if row["symbol"] != SYMBOL:
                continue
            if row["positionSide"] is not None:
                print(f"position  {row['positionSide']} {row['positionQty']} at {row['entryPrice']}", end=", ")
                print(f"mark {row['markPrice']}, profit {row['unrealizedPnl']}")
            elif frame["data"][0]["actionType"] == "UPDATE":
                print("position  closed")
                return


async def main() -> None:
    address = url.replace("http", "ws", 1) + "/api/v1/stream"
    async with (
        httpx.AsyncClient(base_url=url) as http,
        connect(address, additional_headers=signed("GET", "/api/v1/stream")) as stream,
    ):
        await stream.send(json.dumps({"op": "subscribe", "args": ["account.position"]}))
        watching = asyncio.create_task(watch(stream))
        bought = await place(http, side="BUY", type="MARKET", amount="1000")
        await asyncio.sleep(SECONDS)
        await place(http, side="SELL", type="MARKET", quantity=bought["quantity"], reduceOnly=True)
        await watching


asyncio.run(main())
