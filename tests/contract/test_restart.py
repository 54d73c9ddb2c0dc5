"""What a stop and a start leave as it was: all that REST and stream show."""

from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.contract.support import PERPETUAL, SPOT, Account, Server

FLAGS = ("--no-market", "--no-limits")
MARKET = (
    "/market/contract", f"/market/orderbook?symbol={PERPETUAL}&limit=1000", f"/market/orderbook?symbol={SPOT}",
    "/market/ticker", "/market/funding-info", "/market/fee-rate", "/trade/symbol",
    *(f"/market/kline?symbol={PERPETUAL}&interval={interval}&limit=1000" for interval in ("1", "60", "1D", "1W", "1M")),
)  # fmt: skip
TOPICS = ("account", "account.margin", "account.balance", "account.position", "account.order")


def again(server: Server, account: Account) -> Account:
    """The account's key on a server that was started later."""
    return Account(server, account.key, account.secret, account.name)


def snapshots(account: Account) -> dict[str, Any]:
    with account.stream(*TOPICS) as stream:
        return {topic: frame["data"] for topic, frame in stream.snapshots.items()}


def shown(accounts: list[Account]) -> list[Any]:
    market = [accounts[0].get(target) for target in MARKET]
    return [market, *(account.everything() for account in accounts), *map(snapshots, accounts)]


def busy_day(server: Server) -> list[Account]:
    """Two accounts with something of everything."""
    alice, bob = server.key("alice"), server.key("bob")
    server.control("POST", "deposit", {"account": "bob", "asset": "BTC", "amount": "3"})
    alice.leverage(20)
    alice.leverage(7, "ISOLATED", "ETHUSDT.PERP")
    alice.leverage(3, "ISOLATED", "SOLUSDT.PERP")
    bob.write("PUT", "/account/trade-mode", tradeMode="ONE_WAY")
    for number in range(5):
        bob.sell("0.5", f"{50_000 + number}.5")
        alice.buy("0.3", f"{50_000 + number}.5")
    bob.sell("10", "2500", symbol="ETHUSDT.PERP")
    alice.buy("4", symbol="ETHUSDT.PERP")
    alice.write("POST", "/trade/margin", symbol="ETHUSDT.PERP", amount="123.45", type=1)
    bob.sell("1", "50100", symbol=SPOT)
    alice.buy("0.25", "50100", symbol=SPOT)
    resting = alice.buy("1", "40000")
    alice.write(
        "PUT", "/trade/order", symbol=PERPETUAL, orderId=resting["orderId"],
        newTakeProfitPrice="60000", newStopLossPrice="35000",
    )  # fmt: skip
    filled = alice.get("/trade/order/history?symbol=ETHUSDT.PERP")["history"][0]
    alice.write("PUT", "/trade/order", symbol="ETHUSDT.PERP", orderId=filled["orderId"], newStopLossPrice="2000")
    alice.sell("0.5", "45000", type="STOP_MARKET", reduceOnly=True)
    alice.sell("0.2", "55000", reduceOnly=True)
    alice.cancel(alice.buy("1", "39000"))
    carol = server.key("carol", scopes=["read"], allow=["127.0.0.0/8", "::1"])
    return [alice, bob, carol]


def test_everything_is_as_it_was(tmp_path: Path) -> None:
    with Server(tmp_path / "data", *FLAGS) as server:
        accounts = busy_day(server)
        before = shown(accounts)
        keys = server.control("GET", "keys")
        newest = accounts[0].get("/trade/order/history")["history"][0]["orderId"]
        newest_execution = accounts[0].get("/trade/execution/history")["history"][0]["execId"]
        sequence = server.control("GET", "health")["sequence"]
    for _ in range(2):
        with Server(tmp_path / "data", *FLAGS) as server:
            accounts = [again(server, account) for account in accounts]
            assert shown(accounts) == before
            assert server.control("GET", "keys") == keys
            assert server.control("GET", "health")["sequence"] >= sequence
            # The read key is still one, from the same addresses.
            assert accounts[2].send("POST", "/trade/order", b"{}").status_code == 403
    with Server(tmp_path / "data", *FLAGS) as server:
        alice, bob, _ = (again(server, account) for account in accounts)
        # Ids go on from where they were.
        order = alice.buy("0.1", "39000")
        assert order["orderId"] > newest
        assert alice.executions(order)[0]["execId"] > newest_execution
        # What waited waits, and what rests trades: a take-profit, a stop-loss and a reduce-only limit.
        bob.buy("0.2", "55000")
        assert (
            alice.past({"symbol": PERPETUAL, "orderId": before[1]["/trade/order"][2]["orderId"]})["status"] == "FILLED"
        )
        bob.cancel_all()
        bob.buy("10", "1999", symbol="ETHUSDT.PERP")
        bob.sell("1", "2000", symbol="ETHUSDT.PERP")
        closing = alice.get("/trade/order/history?symbol=ETHUSDT.PERP")["history"][0]
        assert (closing["conditionalOrderType"], closing["cumQty"]) == ("POSITION_SL", "4")


def test_revoked_keys_stay_revoked(tmp_path: Path) -> None:
    with Server(tmp_path / "data", *FLAGS) as server:
        gone, kept = server.key("alice"), server.key("alice")
        server.control("DELETE", f"keys/{gone.key}")
    with Server(tmp_path / "data", *FLAGS) as server:
        reply = again(server, gone).send("GET", "/account")
        assert (reply.status_code, reply.json()) == (401, {"error": "api.invalidSession"})
        assert again(server, kept).get("/account")["totalWalletBalance"] == "100000"


def test_the_demo_key_is_the_same_and_can_be_chosen(tmp_path: Path) -> None:
    with Server(tmp_path / "data", *FLAGS) as server:
        demo = server.demo
        demo.buy("1", "40000")
    with Server(tmp_path / "data", *FLAGS) as server:
        assert (server.demo.key, server.demo.secret) == (demo.key, demo.secret)
        assert len(server.demo.open_orders()) == 1
    chosen = ("--demo-key", "demo-key-of-mine", "--demo-secret", "secret")
    for _ in range(2):
        with Server(tmp_path / "data", *FLAGS, *chosen) as server:
            assert (server.demo.key, server.demo.secret) == ("demo-key-of-mine", "secret")
            assert len(server.demo.open_orders()) == 1
            # The one of before works, too.
            assert again(server, demo).open_orders() == server.demo.open_orders()


def test_a_live_market_goes_on(tmp_path: Path) -> None:
    flags = ("--no-limits", "--symbols", f"{PERPETUAL},{SPOT}")
    kline = f"/market/kline?symbol={PERPETUAL}&interval=1&limit=500"
    with Server(tmp_path / "data", *flags) as server:
        demo = server.demo
        demo.buy("0.01")
        demo.buy("0.01", "30000")
        before = demo.everything()
        candles = demo.get(kline)
        ticker = demo.get(f"/market/ticker?symbol={PERPETUAL}")
    with Server(tmp_path / "data", *flags) as server:
        demo = server.demo
        after = demo.everything()
        for target in ("/trade/order", "/trade/order/history?count=1000", "/trade/execution/history?count=1000"):
            assert after[target] == before[target]
        assert after["/account"]["totalWalletBalance"] == before["/account"]["totalWalletBalance"]
        assert demo.get(kline)[: len(candles) - 2] == candles[-len(demo.get(kline)) :][:-2]
        now = demo.get(f"/market/ticker?symbol={PERPETUAL}")
        assert abs(Decimal(now["lastPrice"]) / Decimal(ticker["lastPrice"]) - 1) < Decimal("0.01")
        with demo.stream(f"ticker.{PERPETUAL}", f"orderbook.delta.{SPOT}") as stream:
            topics = {frame["topic"] for frame in stream.for_seconds(1)}
            assert len(topics) == 2
