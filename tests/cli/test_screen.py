"""The live screen of `tickwire watch`, against real servers."""

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.contract.support import PERPETUAL, SPOT, Account, Server, tickwire
from textual.pilot import Pilot
from textual.widgets import Static, TabbedContent

from tickwire.cli.screen import WatchScreen
from tickwire.cli.target import Found

# More than a busy machine needs for any of these.
PATIENCE = 300


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    flags = ("--no-limits", "--symbols", f"{PERPETUAL},{SPOT}")
    with Server(tmp_path_factory.mktemp("screen") / "data", *flags) as server:
        yield server


class Seen:
    """The screen under the hands of a test."""

    def __init__(self, app: WatchScreen, pilot: Pilot[str]) -> None:
        self.app = app
        self.pilot = pilot

    def text(self, place: str) -> str:
        """What a panel shows, as it is drawn."""
        widget = self.app.query_one(f"#{place}", Static)
        return "\n".join(widget.render_line(line).text for line in range(widget.size.height))

    async def until(self, wanted: Callable[[], bool]) -> None:
        """Wait until something is shown."""
        for _ in range(PATIENCE):
            if wanted():
                return
            await self.pilot.pause(0.1)
        raise AssertionError([self.text(place) for place in ("title", "ticker", "book", "events-rows")])

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)


@asynccontextmanager
async def screen(
    account: Account, *, symbol: str = PERPETUAL, tab: str = "positions", size: tuple[int, int] = (170, 60)
) -> AsyncIterator[Seen]:
    app = WatchScreen(Found(account.server.url, account.key, account.secret), symbol, "1", tab)
    async with app.run_test(size=size) as pilot:
        yield Seen(app, pilot)


async def test_a_market_and_the_account(server: Server) -> None:
    account = server.account()
    account.leverage(7)
    account.buy("0.01")
    order = account.buy("0.001", "50000")
    async with screen(account) as seen:
        await seen.until(lambda: "● live" in seen.text("title"))
        await seen.until(lambda: "spread" in seen.text("book"))
        ticker = server.demo.get(f"/market/ticker?symbol={PERPETUAL}")
        await seen.until(lambda: "funding" in seen.text("ticker") and ticker["volume24h"][:3] in seen.text("ticker"))
        # Each level with a price of the book's and a bar; asks above, bids below.
        assert seen.text("book").count("█") > 10
        await seen.until(lambda: seen.text("candles").count("┃") > 20)
        await seen.until(lambda: "7x cross" in seen.text("positions-rows"))
        assert "LONG" in seen.text("positions-rows")

        await seen.press("2")
        await seen.until(lambda: order["orderId"] in seen.text("orders-rows"))
        account.cancel(order)
        await seen.until(lambda: "no orders" in seen.text("orders-rows"))
        await seen.press("3")
        await seen.until(lambda: "CANCELED" in seen.text("executions-rows"))
        assert "TRADE" in seen.text("executions-rows")
        await seen.press("t")
        await seen.until(lambda: "floating profit" in seen.text("account-rows"))
        assert "USDT" in seen.text("account-rows")
        await seen.press("5")
        await seen.until(lambda: "connected (1)" in seen.text("events-rows"))

        # What happens now is seen now.
        await seen.press("1")
        account.sell("0.01", reduceOnly=True)
        await seen.until(lambda: "LONG" not in seen.text("positions-rows"))


async def test_keys_change_market_candles_and_topic(server: Server) -> None:
    async with screen(server.account(), tab="account") as seen:
        tabs = seen.app.query_one("#tabs", TabbedContent)
        await seen.until(lambda: seen.app.watched.symbols == [PERPETUAL, SPOT])
        await seen.press("s")
        await seen.until(lambda: f" {SPOT} " in seen.text("title"))
        # A spot pair has no mark price.
        await seen.until(lambda: "last" in seen.text("ticker") and "mark    " in seen.text("ticker"))
        await seen.until(lambda: len(seen.app.watched.candles) > 50)
        await seen.press("i", "i", "I")
        await seen.until(lambda: "candles 3 " in seen.text("title"))
        await seen.until(lambda: len(seen.app.watched.candles) > 50)
        starts = sorted(seen.app.watched.candles)
        assert {later - earlier for earlier, later in itertools.pairwise(starts)} == {3 * 60 * 10**9}
        await seen.press("S")
        await seen.until(lambda: f" {PERPETUAL} " in seen.text("title"))
        await seen.until(lambda: "spread" in seen.text("book"))

        assert tabs.active == "account"
        await seen.press("T")
        assert tabs.active == "executions"
        await seen.press("2")
        assert tabs.active == "orders"
        shown = {
            active.binding.description for active in seen.app.screen.active_bindings.values() if active.binding.show
        }
        assert {"symbol", "interval", "topic", "quit"} <= shown
        await seen.press("q")
    assert seen.app.return_code == 0


async def test_a_small_terminal(server: Server) -> None:
    async with screen(server.account(), size=(80, 24)) as seen:
        await seen.until(lambda: "spread" in seen.text("book"))
        await seen.until(lambda: "┃" in seen.text("candles"))
        assert len(seen.text("book").splitlines()) >= 7
        await seen.pilot.resize_terminal(30, 10)
        await seen.until(lambda: "● live" in seen.text("title") or "BTC" in seen.text("title"))
        await seen.pilot.resize_terminal(120, 40)
        await seen.until(lambda: len(seen.text("book").splitlines()) > 15)


async def test_a_server_that_goes_and_comes_back(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--no-market") as first:
        account, port = first.account(), int(first.url.rpartition(":")[2])
        async with screen(account, tab="orders") as seen:
            await seen.until(lambda: "no orders" in seen.text("orders-rows"))
            first.stop()
            await seen.until(lambda: "○ away" in seen.text("title"))
            assert "trying again in" in seen.text("title")
            with Server(tmp_path / "data", "--no-market", port=port) as second:
                order = Account(second, account.key, account.secret, account.name).buy("1", "1000")
                await seen.until(lambda: "● live" in seen.text("title"))
                await seen.until(lambda: order["orderId"] in seen.text("orders-rows"))
                await seen.press("5")
                await seen.until(lambda: "connection lost" in seen.text("events-rows"))


async def test_a_server_that_is_not_there_yet(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--no-market") as server:
        account = server.account()
    async with screen(account) as seen:
        await seen.until(lambda: "○ away" in seen.text("title") and "connection lost" in seen.text("title"))
        with Server(tmp_path / "data", "--no-market", port=int(server.url.rpartition(":")[2])):
            await seen.until(lambda: "● live" in seen.text("title"))
            await seen.until(lambda: len(seen.app.watched.symbols) > 1)


async def test_a_symbol_that_is_none(server: Server) -> None:
    async with screen(server.account(), symbol="NOPE") as seen:
        await seen.until(lambda: "InvalidSymbol" in seen.text("ticker"))
        assert "InvalidSymbol" in seen.text("book")
        # The keys lead to those that there are.
        await seen.until(lambda: seen.app.watched.symbols == [PERPETUAL, SPOT])
        await seen.press("s")
        await seen.until(lambda: "spread" in seen.text("book"))


@pytest.mark.parametrize(
    ("key", "secret", "words"),
    [
        ("nobody", "secret", "401 api.invalidSession; the key is unknown or revoked: tickwire key list"),
        ("", "wrong", "401 api.unauthorized; check the secret and this machine's clock"),
    ],
)
async def test_a_key_that_is_refused_ends_it(server: Server, key: str, secret: str, words: str) -> None:
    account = Account(server, key or server.demo.key, secret, "")
    app = WatchScreen(Found(account.server.url, account.key, account.secret), PERPETUAL, "1", "positions")
    async with app.run_test() as pilot:
        for _ in range(PATIENCE):
            if not app.is_running or app.return_value is not None:
                break
            await pilot.pause(0.1)
    assert app.return_value is not None
    assert words in app.return_value
    assert app.return_code == 1


async def test_a_key_that_is_revoked_ends_it(server: Server) -> None:
    account = server.account()
    async with screen(account) as seen:
        await seen.until(lambda: "● live" in seen.text("title"))
        result = tickwire("key", "revoke", account.key, "--data", str(server.directory), home=server.directory.parent)
        assert result.returncode == 0
        await seen.until(lambda: seen.app.return_value is not None)
    assert "1008 key revoked" in str(seen.app.return_value)
