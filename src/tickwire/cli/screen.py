"""The live screen of `tickwire watch`: a market and the account, on one terminal."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, ClassVar

from rich.console import Group, RenderableType
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Footer, Static, TabbedContent, TabPane

from tickwire.cli.candles import draw_candles
from tickwire.cli.panels import account_panel, book_panel, ticker_panel, waiting
from tickwire.cli.tables import EXECUTIONS, ORDERS, POSITIONS, Column, rows_table
from tickwire.cli.target import Found, why_ended
from tickwire.cli.watched import Watched
from tickwire.client.client import Client

__all__ = ["WatchScreen"]

# The eye sees no more; and so a busy market costs no more than a quiet one.
_REFRESH_SECONDS = 0.2
_TABS = ("positions", "orders", "executions", "account", "events")
# What Ctrl-C leaves a shell.
_INTERRUPTED = 130


class WatchScreen(App[str]):
    """The application; it returns why it ended when the server wants us no more, and nothing when the user left."""

    ENABLE_COMMAND_PALETTE = False
    TITLE = "tickwire"
    CSS = """
    #title { height: 1; background: $panel; }
    #market { height: 2fr; min-height: 10; }
    #left { width: 1fr; }
    #ticker { height: 5; border-bottom: solid $panel; overflow: hidden; }
    #candles { height: 1fr; }
    #book { width: 35%; max-width: 44; height: 100%; border-left: solid $panel; padding: 0 1; }
    #tabs { height: 1fr; min-height: 7; }
    TabPane { padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "symbol(1)", "symbol", key_display="s/S"),
        Binding("S", "symbol(-1)", show=False),
        Binding("i", "interval(1)", "interval", key_display="i/I"),
        Binding("I", "interval(-1)", show=False),
        Binding("t", "tab(1)", "topic", key_display="t/T/1-5"),
        Binding("T", "tab(-1)", show=False),
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "interrupt", show=False),
        *[Binding(str(number), f"show('{name}')", show=False) for number, name in enumerate(_TABS, 1)],
    ]

    def __init__(self, found: Found, symbol: str, interval: str, tab: str) -> None:
        super().__init__()
        self._found = found
        self._first_tab = tab
        self._client = Client(found.url, found.key, found.secret, tls=found.tls)
        self.watched = Watched(self._client, symbol, interval)

    def compose(self) -> ComposeResult:
        """The panels."""
        yield Static(id="title")
        with Horizontal(id="market"):
            with Vertical(id="left"):
                yield Static(waiting(), id="ticker")
                yield Static(waiting(), id="candles")
            yield Static(waiting(), id="book")
        with TabbedContent(id="tabs", initial=self._first_tab):
            for number, name in enumerate(_TABS, 1):
                with TabPane(f"{number} {name}", id=name), VerticalScroll():
                    yield Static(waiting(), id=f"{name}-rows")
        yield Footer(show_command_palette=False)

    async def on_mount(self) -> None:
        """Connect, and begin to draw."""
        await self._client.__aenter__()
        self.watched.start()
        self.watched.changed |= {"status"}
        self.set_interval(_REFRESH_SECONDS, self._draw)

    async def on_unmount(self) -> None:
        """Disconnect."""
        await self.watched.close()
        await self._client.aclose()

    def on_resize(self) -> None:
        """Candles and book are drawn to fit."""
        self.watched.changed |= {"candles", "book"}

    # Keys.

    def action_symbol(self, step: int) -> None:
        """Another market."""
        self.watched.next_symbol(step)

    def action_interval(self, step: int) -> None:
        """Other candles."""
        self.watched.next_interval(step)

    def action_tab(self, step: int) -> None:
        """Another topic of the account."""
        tabs = self.query_one("#tabs", TabbedContent)
        tabs.active = _TABS[(_TABS.index(tabs.active) + step) % len(_TABS)]

    def action_show(self, tab: str) -> None:
        """One of the topics, by its number."""
        self.query_one("#tabs", TabbedContent).active = tab

    def action_interrupt(self) -> None:
        """Leave as other commands do."""
        self.exit(return_code=_INTERRUPTED)

    # Drawing.

    def _draw(self) -> None:
        if not self.query("#title"):
            return  # the panels go before the timer does, when the screen is closed
        watched = self.watched
        if watched.failure is not None:
            self.exit(why_ended(self._found.url, watched.failure.end), return_code=1)
            return
        self._show("title", self._title())
        changed, watched.changed = watched.changed, set()
        # The time to the next funding runs on without a frame.
        for part in changed | {"ticker"}:
            if part in _PARTS:
                place, render = _PARTS[part]
                refusal = watched.refusals.get(part)
                self._show(place, Text(refusal, "red") if refusal else render(self))

    def _show(self, place: str, content: RenderableType) -> None:
        # Only what scrolls changes its size with its content; to lay out everything anew is most of the work.
        self.query_one(f"#{place}", Static).update(content, layout=place.endswith("-rows"))

    def _title(self) -> Text:
        watched = self.watched
        text = Text.assemble((f" {watched.symbol} ", "bold reverse"), f"  candles {watched.interval}  ")
        text.append("● live" if self._client.connected else "○ away", "green" if self._client.connected else "red")
        text.append(f"  {self._found.url}  {datetime.now().astimezone():%H:%M:%S}", "dim")
        if not self._client.connected and watched.events:
            text.append(f"  {watched.events[-1][1]}", "red")
        return text

    def _ticker(self) -> RenderableType:
        ticker = self.watched.ticker
        return waiting() if ticker is None else ticker_panel(ticker, self._client.clock.now())

    def _candles(self) -> RenderableType:
        size = self.query_one("#candles").content_size
        candles = [candle for _, candle in sorted(self.watched.candles.items())]
        return draw_candles(candles, size.width, size.height) if candles else waiting()

    def _book(self) -> RenderableType:
        book, size = self.watched.book, self.query_one("#book").content_size
        return waiting() if book is None else book_panel(book, size.width, size.height)

    def _positions(self) -> RenderableType:
        return self._rows("positions", list(self.watched.positions.values()), POSITIONS)

    def _orders(self) -> RenderableType:
        return self._rows("orders", list(self.watched.orders.values()), ORDERS)

    def _executions(self) -> RenderableType:
        return self._rows("executions", list(reversed(self.watched.executions)), EXECUTIONS)

    def _rows(self, part: str, found: Sequence[Any], columns: Sequence[Column]) -> RenderableType:
        if found:
            return rows_table(found, columns, whole_ids=False)
        return waiting(f"no {part}" if part in self.watched.whole else "waiting for the server")

    def _account(self) -> RenderableType:
        watched = self.watched
        return account_panel(watched.sums, list(watched.margins.values()), list(watched.balances.values()))

    def _events(self) -> RenderableType:
        lines = []
        for at, text, style in reversed(self.watched.events):
            clock = time.strftime("%H:%M:%S", time.localtime(at / 1_000_000_000))
            lines.append(Text.assemble((f"{clock}  ", "dim"), (text, style)))
        return Group(*lines)


# Where each part is shown, and what draws it.
_PARTS: dict[str, tuple[str, Callable[[WatchScreen], RenderableType]]] = {
    "ticker": ("ticker", WatchScreen._ticker),
    "candles": ("candles", WatchScreen._candles),
    "book": ("book", WatchScreen._book),
    "positions": ("positions-rows", WatchScreen._positions),
    "orders": ("orders-rows", WatchScreen._orders),
    "executions": ("executions-rows", WatchScreen._executions),
    "account": ("account-rows", WatchScreen._account),
    "events": ("events-rows", WatchScreen._events),
}
