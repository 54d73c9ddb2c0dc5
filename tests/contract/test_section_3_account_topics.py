"""Contract, section 3.4: the topics of the key's own account."""

from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.contract import shapes
from tests.contract.support import PERPETUAL, SPOT, Account, Message, Server, Stream, rows_of

STATE_TOPICS = ("account", "account.margin", "account.balance", "account.position")
TOPICS = (*STATE_TOPICS, "account.order", "account.execution")
SHAPES = {
    "account": shapes.ACCOUNT,
    "account.margin": shapes.MARGIN,
    "account.balance": shapes.BALANCE,
    "account.position": shapes.POSITION,
    "account.order": shapes.ORDER,
    "account.execution": shapes.EXECUTION,
}


class Mirror:
    """What the frames of an account add up to."""

    def __init__(self, account: Account, stream: Stream) -> None:
        self.account = account
        self.stream = stream
        self.whole: dict[str, Any] = {}
        self.balances: dict[str, Any] = {}
        self.positions: dict[str, Any] = {}
        self.orders: dict[str, Any] = {}
        self.executions: list[Any] = []
        self.take(list(stream.snapshots.values()))

    def take(self, frames: list[Message]) -> None:
        for frame in frames:
            topic = frame["topic"]
            for row in rows_of([frame], topic):
                shapes.check(row, SHAPES[topic])
                match topic:
                    case "account" | "account.margin":
                        self.whole[topic] = row
                    case "account.balance":
                        self.balances[row["asset"]] = row
                    case "account.position":
                        self.positions[row["symbol"]] = row
                    case "account.order":
                        self.orders[row["orderId"]] = row
                    case _:
                        self.executions.append(row)

    def step(self, *, moving: bool = False) -> list[Message]:
        """Take what has come since, and compare all of it with REST; but mark prices of a market that is `moving`."""
        frames = self.stream.barrier()
        for frame in frames:
            assert {part["actionType"] for part in frame["data"]} == {"UPDATE"}
        self.take(frames)
        get = self.account.get
        assert self.whole["account"] == get("/account")
        assert [self.whole["account.margin"]] == get("/account/margin")["margins"]
        assert self.balances == {row["asset"]: row for row in get("/account/balance")}
        shown = {row["symbol"]: row for row in get("/account/position")}
        gone = [row for symbol, row in self.positions.items() if symbol not in shown]
        assert all(row["positionSide"] is None for row in gone)
        known = {symbol: dict(row) for symbol, row in self.positions.items() if symbol in shown}
        for symbol, row in shown.items() if moving else ():
            row["markPrice"] = known[symbol]["markPrice"]
        assert known == shown
        alive = [row for row in self.orders.values() if row["status"] in ("NEW", "PARTIALLY_FILLED")]
        assert alive == get("/trade/order")
        past = {row["orderId"]: row for row in get("/trade/order/history?count=1000")["history"]}
        for order_id, row in self.orders.items():
            assert row == {name: past[order_id][name] for name in shapes.ORDER}
        # The ids of executions sort by age; pages of the history go by orders.
        history = get("/trade/execution/history?count=1000")["history"]
        assert self.executions == sorted(history, key=lambda row: row["execId"])
        return frames


def topics_of(frames: list[Message]) -> set[str]:
    return {frame["topic"] for frame in frames}


@pytest.fixture
def mirror(alice: Account) -> Any:
    with alice.stream(*TOPICS) as stream:
        yield Mirror(alice, stream)


def test_snapshots_of_a_new_account(mirror: Mirror) -> None:
    snapshots = mirror.stream.snapshots
    assert {frame["data"][0]["actionType"] for frame in snapshots.values()} == {"SNAPSHOT"}
    assert all(len(frame["data"]) == 1 for frame in snapshots.values())
    rows = {topic: frame["data"][0]["rows"] for topic, frame in snapshots.items()}
    assert rows["account"] == [mirror.account.get("/account")]
    assert [row["asset"] for row in rows["account.balance"]] == ["USDT"]
    assert rows["account.position"] == rows["account.order"] == rows["account.execution"] == []
    assert mirror.step() == []


def test_snapshots_of_an_account_that_has_traded(alice: Account, bob: Account) -> None:
    bob.sell("1", "50000")
    alice.buy("0.5", "50000")
    resting = alice.buy("0.1", "40000")
    alice.leverage(7, symbol="ETHUSDT.PERP")
    with alice.stream(*TOPICS) as stream:
        rows = {topic: frame["data"][0]["rows"] for topic, frame in stream.snapshots.items()}
    assert rows["account"] == [alice.get("/account")]
    assert rows["account.margin"] == alice.get("/account/margin")["margins"]
    assert rows["account.balance"] == alice.get("/account/balance")
    assert rows["account.position"] == alice.get("/account/position")
    assert [row["symbol"] for row in rows["account.position"]] == [PERPETUAL, "ETHUSDT.PERP"]
    assert rows["account.order"] == alice.get("/trade/order") == [resting]
    # Executions are happenings: there is no state to begin with.
    assert rows["account.execution"] == []


def test_every_change_is_pushed_at_once_with_the_rows_of_rest(mirror: Mirror, bob: Account) -> None:
    alice = mirror.account
    order = alice.buy("1", "50000")
    # An order that rests holds margin: no balance, no position.
    assert topics_of(mirror.step()) == {
        "account", "account.margin", "account.balance", "account.order", "account.execution",
    }  # fmt: skip
    bob.sell("0.4")
    assert topics_of(mirror.step()) == set(TOPICS)
    assert mirror.orders[order["orderId"]]["status"] == "PARTIALLY_FILLED"
    bob.sell("0.6")
    mirror.step()
    assert mirror.orders[order["orderId"]]["status"] == "FILLED"
    assert [row["execType"] for row in mirror.executions] == ["NEW", "TRADE", "TRADE"]

    alice.leverage(20)
    assert topics_of(mirror.step()) == set(STATE_TOPICS)
    alice.write("PUT", "/trade/order", symbol=PERPETUAL, orderId=order["orderId"], newTakeProfitPrice="60000")
    assert topics_of(mirror.step()) == {"account.order", "account.execution"}
    stop = alice.sell("1", "45000", type="STOP_MARKET")
    mirror.step()
    alice.cancel(stop)
    mirror.step()
    assert [row["execType"] for row in mirror.executions[-2:]] == ["NEW", "CANCELED"]

    # Out of it again, by way of a flip.
    bob.buy("2", "51000")
    alice.sell("1.5")
    mirror.step()
    assert mirror.positions[PERPETUAL]["positionSide"] == "SHORT"
    bob.cancel_all()
    bob.sell("1", "49000")
    alice.buy("0.5", reduceOnly=True)
    mirror.step()


def test_several_orders_in_one_go_come_in_their_order(mirror: Mirror, bob: Account) -> None:
    for number in range(10):
        bob.sell("0.1", str(50000 + number))
    mirror.account.buy("1", "50009")
    mirror.step()
    assert [row["lastPrice"] for row in mirror.executions[1:]] == [f"{50000 + number}.0" for number in range(10)]
    assert len({row["execId"] for row in mirror.executions}) == 11


def test_a_closed_position_is_a_row_without_a_side(mirror: Mirror, bob: Account) -> None:
    bob.sell("1", "50000")
    mirror.account.buy("1")
    mirror.step()
    bob.buy("1", "50000")
    mirror.account.sell("1")
    row = rows_of(mirror.step(), "account.position")[-1]
    assert (row["symbol"], row["positionSide"], row["positionQty"], row["positionAmount"]) == (
        PERPETUAL,
        None,
        "0",
        "0",
    )
    assert (row["unrealizedPnl"], row["entryPrice"], row["liquidationPrice"]) == (None, None, None)
    # Over REST there is neither a position nor a setting.
    assert mirror.account.get("/account/position") == []


def test_a_leverage_setting_is_a_row_without_a_position(mirror: Mirror) -> None:
    mirror.account.leverage(33, "ISOLATED", "SOLUSDT.PERP")
    (row,) = rows_of(mirror.step(), "account.position")
    assert (row["leverage"], row["marginType"], row["positionSide"], row["positionQty"]) == (33, "ISOLATED", None, "0")


def test_margin_of_an_isolated_position(mirror: Mirror, bob: Account) -> None:
    alice = mirror.account
    alice.leverage(10, "ISOLATED")
    bob.sell("1", "50000")
    alice.buy("1")
    mirror.step()
    before = mirror.positions[PERPETUAL]
    alice.write("POST", "/trade/margin", symbol=PERPETUAL, amount="1000", type=1)
    assert topics_of(mirror.step()) == set(STATE_TOPICS)
    after = mirror.positions[PERPETUAL]
    assert Decimal(after["liquidationPrice"]) == Decimal(before["liquidationPrice"]) - 1000


def test_a_deposit_is_one_row_of_the_asset_that_changed(exchange: Server, mirror: Mirror) -> None:
    exchange.control("POST", "deposit", {"account": "alice", "asset": "BTC", "amount": "2"})
    (row,) = rows_of(mirror.step(), "account.balance")
    assert row == {"asset": "BTC", "balance": "2", "availableBalance": "2", "maxWithdrawableAmount": "2"}


def test_a_spot_fill_is_a_row_for_each_asset(exchange: Server, mirror: Mirror, bob: Account) -> None:
    exchange.control("POST", "deposit", {"account": "bob", "asset": "BTC", "amount": "2"})
    bob.sell("1", "50000", symbol=SPOT)
    mirror.account.buy("1", "50000", symbol=SPOT)
    frames = mirror.step()
    assert "account.position" not in topics_of(frames)
    assert {row["asset"] for row in rows_of(frames, "account.balance")} == {"BTC", "USDT"}


def test_one_row_a_position_that_changed(mirror: Mirror, bob: Account) -> None:
    alice = mirror.account
    alice.leverage(5, "ISOLATED", "SOLUSDT.PERP")
    bob.sell("100", "2500", symbol="ETHUSDT.PERP")
    alice.buy("1", symbol="ETHUSDT.PERP")
    mirror.step()
    bob.sell("1", "50000")
    alice.buy("0.1")
    changed = {row["symbol"] for row in rows_of(mirror.step(), "account.position")}
    # The cross positions carry each other, the isolated setting is as it was.
    assert PERPETUAL in changed
    assert "SOLUSDT.PERP" not in changed


def test_accounts_see_their_own_alone(alice: Account, bob: Account, exchange: Server) -> None:
    carol = exchange.key("carol")
    with carol.stream(*TOPICS) as hers, bob.stream("account.execution") as his:
        bob.sell("1", "50000")
        alice.buy("1")
        assert hers.barrier() == []
        rows = his.rows("account.execution")
        assert [(row["execType"], row["side"]) for row in rows] == [("NEW", "SELL"), ("TRADE", "SELL")]
        assert carol.get("/trade/order/history")["history"] == []


def test_two_keys_of_one_account_see_the_same(alice: Account, exchange: Server) -> None:
    other = exchange.key("alice", scopes=["read"])
    with alice.stream("account.order") as first, other.stream("account.order") as second:
        order = alice.buy("1", "50000")
        assert first.rows("account.order") == second.rows("account.order") == [order]


NERVOUS = """
[[instrument]]
symbol = "BTCUSDT.PERP"
kind = "perpetual"
base = "BTC"
quote = "USDT"
tick_size = "0.1"
step = "0.000001"
max_leverage = 100
init_margin_rate = "0.01"
maint_margin_rate = "0.009999"
market = { start_price = "74937.1", annual_volatility = 5.0, trades_per_second = 20.0 }
"""


def test_a_liquidation_is_pushed(tmp_path: Path) -> None:
    # The margin of a position at 100x carries a loss of no more than a millionth.
    (tmp_path / "nervous.toml").write_text(NERVOUS)
    flags = ("--no-limits", "--symbols", PERPETUAL, "--instruments", str(tmp_path / "nervous.toml"))
    with Server(tmp_path / "data", *flags) as server:
        trader = server.account()
        trader.leverage(100, "ISOLATED")
        with trader.stream(*TOPICS) as stream:
            mirror = Mirror(trader, stream)
            resting = trader.buy("0.1", "70000")
            order = trader.buy("0.1", "80000")
            frames = stream.collect(lambda found: any(r["side"] == "SELL" for r in rows_of(found, "account.execution")))
            mirror.take(frames)
            frames += mirror.step(moving=True)
        assert mirror.positions[PERPETUAL]["positionSide"] is None
        (closing,) = [row for row in mirror.executions if row["side"] == "SELL"]
        assert (closing["execType"], closing["lastQty"], closing["status"]) == ("TRADE", "0.1", "FILLED")
        assert mirror.orders[resting["orderId"]]["status"] == "CANCELED"
        assert trader.past(resting)["orderCancelReason"] == "LIQUIDATION"
        # One command did it, and its frames come in a fixed order: each event, then the account as it is after all.
        pushed = [frame["topic"] for frame in frames if frame["ts"] == closing["transactTime"]]
        event = ["account.order", "account.execution"]
        after = ["account.position", "account.balance", "account.margin", "account"]
        if pushed.count("account.order") > 2:
            # The order itself took the position to its end: its events come first, and the position is what it was.
            opened = pushed.count("account.order") - 2
            assert pushed == [*event * opened, *event, *event, *after[1:]]
        else:
            assert pushed == [*event, *event, *after]
        # What is lost is the margin of the position, and no more.
        fee = Decimal(trader.past(order)["cumFee"])
        margin = Decimal("0.1") * Decimal(trader.past(order)["avgPrice"]) / 100
        lost = 100_000 - fee - Decimal(mirror.whole["account"]["totalWalletBalance"])
        assert abs(lost - margin) < Decimal("0.01")


def test_positions_without_a_mark_price_are_valued_at_the_last_one(alice: Account, bob: Account) -> None:
    bob.sell("1", "50000")
    alice.buy("1")
    with bob.stream("account", "account.position") as stream:
        alice.buy("0.001", "49000")
        # A trade between two others, so that only the price of bob's position changes.
        carol = bob.server.key("carol")
        carol.sell("0.001", "49000")
        rows = rows_of(stream.collect(lambda found: rows_of(found, "account.position") != []), "account.position")
        assert (rows[0]["markPrice"], rows[0]["unrealizedPnl"]) == ("49000.0", "1000")
        assert bob.get("/account/position") == rows


def test_what_only_the_mark_price_changes_is_merged(live: Server) -> None:
    trader = live.account()
    trader.buy("0.01")
    with trader.stream(*TOPICS, f"ticker.{PERPETUAL}") as stream:
        frames = stream.for_seconds(4)
        marks = [row for row in rows_of(frames, f"ticker.{PERPETUAL}") if "markPrice" in row]
        for topic in STATE_TOPICS[:2]:
            times = [int(frame["ts"]) for frame in frames if frame["topic"] == topic]
            assert len(times) >= 2
            assert len(times) < len(marks)
            # The first may come at once; from then on a second lies between two.
            assert all(later - earlier >= 10**9 for earlier, later in pairwise(times[1:]))
        # What the trader does itself does not wait for the second.
        trader.buy("0.01")
        assert topics_of(stream.barrier()) >= {*STATE_TOPICS, "account.order", "account.execution"}
    trader.sell("0.02", reduceOnly=True)


def test_the_pace_of_the_mark_price_is_a_setting(tmp_path: Path) -> None:
    flags = ("--no-limits", "--account-interval-ms", "200", "--symbols", PERPETUAL)
    with Server(tmp_path / "data", *flags) as server:
        trader = server.account()
        trader.buy("0.01")
        with trader.stream("account") as stream:
            frames = stream.collect(lambda found: len(found) == 8)
            times = [int(frame["ts"]) for frame in frames]
            gaps = [later - earlier for earlier, later in pairwise(times[1:])]
            assert min(gaps) >= 200_000_000
            assert min(gaps) < 1_000_000_000
