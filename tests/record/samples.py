"""Small files in the forms of tardis.dev and of Binance's public data, columns and number formats as theirs are."""

import gzip
import zipfile
from pathlib import Path

# 2024-01-01T00:00:00Z in microseconds and milliseconds.
MICRO = 1_704_067_200_000_000
MILLI = 1_704_067_200_000

TRADES = f"""exchange,symbol,timestamp,local_timestamp,id,side,price,amount
binance-futures,BTCUSDT,{MICRO},{MICRO + 4_000},1,buy,42283.5,0.012
binance-futures,BTCUSDT,{MICRO + 30_000_000},{MICRO + 30_004_000},2,sell,42280,1e-05
binance-futures,BTCUSDT,{MICRO + 61_000_000},{MICRO + 61_004_000},3,buy,42290.1,2
"""
CHANGES = f"""exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount
binance-futures,BTCUSDT,{MICRO},{MICRO + 1_000},true,ask,42284.0,3.5
binance-futures,BTCUSDT,{MICRO},{MICRO + 1_000},true,ask,42285,1
binance-futures,BTCUSDT,{MICRO},{MICRO + 1_000},true,bid,42283,0.5
binance-futures,BTCUSDT,{MICRO},{MICRO + 1_000},true,bid,42283.9,2.25
binance-futures,BTCUSDT,{MICRO + 100_000},{MICRO + 101_000},false,bid,42283.9,0
binance-futures,BTCUSDT,{MICRO + 100_000},{MICRO + 101_000},false,ask,42284.0,3.75
binance-futures,BTCUSDT,{MICRO + 200_000},{MICRO + 201_000},false,bid,42283.95,7
binance-futures,BTCUSDT,{MICRO + 900_000},{MICRO + 901_000},true,bid,42000,1
binance-futures,BTCUSDT,{MICRO + 900_000},{MICRO + 902_000},true,ask,42001,1
"""
SNAPSHOTS = (
    "exchange,symbol,timestamp,local_timestamp,"
    + ",".join(f"asks[{n}].price,asks[{n}].amount,bids[{n}].price,bids[{n}].amount" for n in range(25))
    + "\n"
    + "".join(
        f"deribit,BTC-PERPETUAL,{MICRO + step},{MICRO + step + 5},"
        + ",".join(f"{42284 + n}.5,{n + 1},{42283 - n},{n + 1}.5" if n < 24 else ",,," for n in range(25))
        + "\n"
        for step in (0, 1_000_000)
    )
)
TICKER = f"""exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,predicted_funding_rate,\
open_interest,last_price,index_price,mark_price
binance-futures,BTCUSDT,{MICRO},{MICRO + 10},{MICRO + 28_800_000_000},-0.00012,,84011.2,42283.5,42270.11,42281.3
binance-futures,BTCUSDT,{MICRO + 1_000_000},{MICRO + 1_000_010},,,,84011.5,,,42282
"""

# Of the futures market, with a header; of the spot market, without.
BINANCE_TRADES = f"""id,price,qty,quote_qty,time,is_buyer_maker
4404850367,42283.50,0.012,507.40,{MILLI},true
4404850368,42290.10,2.000,84580.20,{MILLI + 61_000},false
"""
BINANCE_SPOT_TRADES = f"""3353712801,42283.58000000,0.00126000,53.27731080,{MICRO},False,True
3353712802,42283.59000000,0.00100000,42.28359000,{MICRO + 500},True,True
"""
AGG_TRADES = f"""agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker
2017380134,42313.9,0.041,4404850367,4404850371,{MILLI},false
2017380135,42314.0,0.100,4404850372,4404850372,{MILLI + 200},true
"""
KLINES = f"""{MILLI},42283.58,42298.62,42261.02,42298.61,35.92724,{MILLI + 59_999},1519032.58,1327,23.18766,980394.53,0
{MILLI + 60_000},42298.62,42320.00,42298.61,42320.00,21.16779,{MILLI + 119_999},895580.61,1348,15.26,645000.1,0
"""
BOOK_TICKER = f"""update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time
3801923467320,42313.90,3.405,42314.00,6.702,{MILLI},{MILLI + 3}
3801923467413,42313.90,3.105,42314.00,6.702,{MILLI + 10},{MILLI + 13}
3801923467500,42314.00,3.105,42314.10,6.702,{MILLI + 20},{MILLI + 23}
"""
BOOK_DEPTH = """timestamp,percentage,depth,notional
2024-01-01 00:00:08,-2,300.00,12690000.00
2024-01-01 00:00:08,-1,100.00,4240000.00
2024-01-01 00:00:08,1,110.00,4670000.00
2024-01-01 00:00:08,2,400.00,17080000.00
2024-01-01 00:00:38,-1,50.00,2120000.00
2024-01-01 00:00:38,1,60.00,2550000.00
"""

BINANCE_FILES = {
    "BTCUSDT-trades-2024-01-01.zip": BINANCE_TRADES,
    "BTCUSDT-aggTrades-2024-01-01.zip": AGG_TRADES,
    "BTCUSDT-1m-2024-01-01.zip": KLINES,
    "BTCUSDT-bookTicker-2024-01-01.zip": BOOK_TICKER,
    "BTCUSDT-bookDepth-2024-01-01.zip": BOOK_DEPTH,
}


def gzipped(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()))
    return path


def zipped(path: Path, text: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(path.with_suffix(".csv").name, text)
    return path


def plain(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
