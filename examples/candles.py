"""Candles as a polars frame, as one would in a notebook: python examples/candles.py

Needs polars (pip install polars). The cells of the notebook are the paragraphs below. Takes the server and the key from
TICKWIRE_URL, TICKWIRE_API_KEY and TICKWIRE_API_SECRET.
"""

import os

import polars as pl

from tickwire.client.sync import Client

url, key, secret = (os.environ.get(f"TICKWIRE_{name}", "") for name in ("URL", "API_KEY", "API_SECRET"))
client = Client(url or "http://127.0.0.1:8080", key, secret)
client.__enter__()  # a notebook has no "with" around its cells

# A day of minutes. Prices come as texts; a Decimal column keeps them exact.
start = client.rest.server_time() - 24 * 3600 * 10**9
candles = list(client.rest.iterate_klines("BTCUSDT.PERP", "1", start=start))
columns = ("open", "high", "low", "close", "volume", "turnover")
frame = pl.DataFrame(
    {"start": [int(candle.start_time) for candle in candles]}
    | {name: [getattr(candle, name) for candle in candles] for name in columns}
).with_columns(
    pl.col("start").cast(pl.Datetime("ns", "UTC")),
    *[pl.col(name).cast(pl.Decimal(38, 8)) for name in columns],
)
print(frame.tail(3))

# By the hour, with a moving average. Statistics are no money: floats will do from here on.
hours = (
    frame.group_by_dynamic("start", every="1h")
    .agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
    )
    .with_columns(pl.col("close").cast(pl.Float64).rolling_mean(5).alias("average"))
)
print(hours.tail(3))

# The open candle as it changes.
stream = client.kline("BTCUSDT.PERP", "1")
for _ in range(3):
    candle = stream.read(timeout=60)
    print("open candle: close", candle.close, "volume", candle.volume)

client.close()
