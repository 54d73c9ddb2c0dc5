"""`tickwire order` and `tickwire cancel`, as a shell runs them against a real server."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.terminal import Terminal, run
from tests.client.faulty import FaultyServer
from tests.contract.support import PERPETUAL, Server, tickwire

UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    flags = ("--no-limits", "--symbols", f"{PERPETUAL},BTCUSDT")
    with Server(tmp_path_factory.mktemp("order") / "data", *flags) as server:
        yield server


@pytest.fixture
def terminal(server: Server, tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(server.account(), tmp_path)
    yield terminal
    terminal.account.cancel_all()


def test_buy_at_market(terminal: Terminal) -> None:
    # In small letters too: symbols have no others.
    order = terminal.json("order", "buy", PERPETUAL.lower(), "0.01")
    assert (order["side"], order["orderType"], order["status"], order["quantity"]) == (
        "BUY",
        "MARKET",
        "FILLED",
        "0.01",
    )
    assert terminal.account.position()["positionQty"] == "0.01"  # type: ignore[index]
    text = terminal.run("order", "sell", PERPETUAL, "0.01", "--reduce-only")
    heading, _, row = text.splitlines()
    assert heading.split()[:4] == ["symbol", "side", "type", "quantity"]
    assert row.split()[:4] == [PERPETUAL, "SELL", "MARKET", "0.01"]
    assert re.search(UUID, row)


def test_limit_with_exits_and_what_it_becomes(terminal: Terminal) -> None:
    flags = ("--price", "50000", "--tif", "GTC", "--take-profit", "60000", "--stop-loss", "40000")
    order = terminal.json("order", "buy", PERPETUAL, "0.01", *flags)
    assert order == terminal.account.open_orders()[0]
    assert (order["takeProfitPrice"], order["stopLossPrice"]) == ("60000.0", "40000.0")
    assert terminal.run("cancel", PERPETUAL, order["orderId"]) == f"cancelled {order['orderId']}\n"
    assert terminal.account.open_orders() == []


def test_stop_by_amount_and_best(terminal: Terminal) -> None:
    stop = terminal.json("order", "buy", PERPETUAL, "--amount", "1000", "--stop", "90000")
    assert (stop["orderType"], stop["triggerPrice"], stop["amount"]) == ("STOP_MARKET", "90000.0", "1000")
    best = terminal.json("order", "buy", PERPETUAL, "0.001", "--best", "--tif", "IOC")
    assert (best["orderType"], best["timeInForce"]) == ("LIMIT", "IOC")
    sold = terminal.json("order", "sell", PERPETUAL, "0.001", "--worst", "1000")
    assert sold["status"] == "FILLED"


def test_cancel_all(terminal: Terminal) -> None:
    account = terminal.account
    perpetual = [account.buy("0.001", "50000")["orderId"] for _ in range(2)]
    spot = account.buy("0.001", "50000", symbol="BTCUSDT")["orderId"]
    assert terminal.json("cancel", PERPETUAL, "--all") == {"cancelled": perpetual}
    assert terminal.run("cancel", "--all") == f"cancelled {spot}\n"
    assert terminal.run("cancel", "--all") == "no open orders\n"
    assert terminal.json("cancel", "--all") == {"cancelled": []}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("BTC", "1"), "InvalidSymbol: SYMBOL: no symbol 'BTC'; there are BTCUSDT.PERP, BTCUSDT"),
        ((PERPETUAL, "0.01", "--price", "50000.05"), "InvalidParameter: --price: expected at most 1 decimals"),
        ((PERPETUAL, "0.01", "--stop", "50000.05"), "InvalidParameter: --stop: expected at most 1 decimals"),
        ((PERPETUAL, "abc"), "InvalidParameter: QUANTITY: expected a decimal"),
        ((PERPETUAL, "0.000001"), "MinNotional: expected a value of at least 1"),
        ((PERPETUAL, "0.01", "--reduce-only"), "ReduceOnlyRejected: --reduce-only: expected a short position"),
    ],
)
def test_a_refusal_names_the_flag_and_what_to_do(terminal: Terminal, arguments: tuple[str, ...], words: str) -> None:
    said = terminal.run("order", "buy", *arguments, code=1)
    assert said.startswith("tickwire order: ")
    assert words in said
    assert said.count("\n") == 1


def test_a_refusal_for_scripts(terminal: Terminal) -> None:
    said = json.loads(terminal.run("order", "buy", PERPETUAL, "0.01", "--price", "50000.05", "--json", code=1))
    assert (said["error"], said["field"]) == ("InvalidParameter", "--price")
    assert said["message"].startswith("InvalidParameter: --price: expected")


def test_an_order_stands_whose_exits_are_refused(terminal: Terminal) -> None:
    arguments = ("order", "buy", PERPETUAL, "0.01", "--price", "50000", "--take-profit", "40000")
    for flags in ((), ("--json",)):
        result = run(*arguments, *flags, directory=terminal.home, **terminal.variables)
        order = terminal.account.open_orders()[0]
        assert result.returncode == 1
        assert order["orderId"] in result.stdout
        assert "the order was placed, but not its take-profit and stop-loss: InvalidParameter" in result.stderr
        terminal.account.cancel(order)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("order", "buy", PERPETUAL), "expected either QUANTITY or --amount, got none"),
        (("order", "buy", PERPETUAL, "1", "--amount", "1"), "expected either QUANTITY or --amount, got both"),
        (("order", "buy", PERPETUAL, "1", "--price", "1", "--best"), "at most one of --price, --best and --stop"),
        (("order", "hold", PERPETUAL, "1"), 'Choose from: "buy", "sell"'),
        (("order", "buy", PERPETUAL, "1", "--tif", "GTX"), 'Invalid value "GTX" for --tif. Choose from: '),
        (("cancel",), "expected SYMBOL and ORDER-ID, or --all"),
        (("cancel", PERPETUAL), "expected SYMBOL and ORDER-ID, or --all"),
        (("cancel", PERPETUAL, "x", "--all"), "expected SYMBOL and ORDER-ID, or --all"),
    ],
)
def test_wrong_arguments_are_exit_code_2(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    result = run(*arguments, directory=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert words in result.stderr


def test_an_order_that_is_not_there(terminal: Terminal) -> None:
    said = terminal.run("cancel", PERPETUAL, "01a20eb1-fa72-7000-8000-000000017514", code=1)
    assert said.startswith("tickwire cancel: OrderNotFound: ")
    assert "see the order history" in said
    assert "ORDER-ID: expected an order id" in terminal.run("cancel", PERPETUAL, "7", code=1)


def test_whether_it_was_placed_is_in_doubt_when_the_answer_is_lost(tmp_path: Path) -> None:
    with FaultyServer(FaultyServer.RESET) as server:
        flags = ("--url", server.url, "--key", "k", "--secret", "s")
        result = tickwire("order", "buy", PERPETUAL, "1", *flags, home=tmp_path)
        assert len(server.requests) == 1
    assert (result.returncode, result.stdout) == (1, "")
    assert "failed before the whole reply was here" in result.stderr
    assert "whether it was done, tickwire orders and tickwire history orders show" in result.stderr
    assert result.stderr.count("\n") == 1
