"""What the panels of the live screen show, as texts made of rows. No terminal and no stream here."""

from collections.abc import Sequence
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tickwire.cli.tables import BALANCES, MARGINS, account_fields, fields_table, rows_table
from tickwire.client.numbers import decimal
from tickwire.wire import rows
from tickwire.wire.rows import Level

__all__ = ["account_panel", "book_panel", "event_line", "ticker_panel", "waiting"]

_SECOND = 1_000_000_000
_HUNDRED = Decimal(100)


def waiting(text: str = "waiting for the server") -> Text:
    """What a panel shows before its first row."""
    return Text(text, "dim italic")


def ticker_panel(ticker: rows.Ticker, now: int) -> RenderableType:
    """Prices, the last 24 hours, and funding; ``now`` in ns since the epoch is for the time to the next payment."""
    last, change = decimal(ticker.last_price), decimal(ticker.price_change24h)
    table = Table.grid(padding=(0, 2))
    for _ in range(4):
        table.add_column(no_wrap=True)
    headline = Text.assemble((ticker.last_price or "no trade yet", "bold"))
    if last is not None and change is not None:
        before = last - change
        percent = f" ({change * _HUNDRED / before:+.2f} %)" if before else ""
        headline.append(f"  {change:+f}{percent}", "green" if change >= 0 else "red")
    table.add_row("last", headline, "bid", Text(ticker.bid_price or "", "green"))
    table.add_row("mark", ticker.mark_price or "", "ask", Text(ticker.ask_price or "", "red"))
    table.add_row("index", ticker.index_price or "", "24 h volume", ticker.volume24h or "")
    table.add_row("funding", _funding(ticker, now), "open interest", ticker.open_interest or "")
    return table


def _funding(ticker: rows.Ticker, now: int) -> str:
    if ticker.funding_rate is None:
        return ""
    percent = f"{(decimal(ticker.funding_rate) or Decimal()) * _HUNDRED:f} %"
    if ticker.next_funding_time is None:
        return percent
    left = max(0, int(ticker.next_funding_time) - now) // _SECOND
    return f"{percent} in {left // 3600}:{left // 60 % 60:02}:{left % 60:02}"


def book_panel(book: rows.Orderbook, width: int, height: int) -> Text:
    """The best levels that fit, asks above bids, with a bar for what stands up to each level."""
    levels = max(1, (height - 1) // 2)
    asks, bids = book.asks[:levels], book.bids[:levels]
    price_width = max((len(level[0]) for level in (*asks, *bids)), default=0)
    size_width = max((len(level[1]) for level in (*asks, *bids)), default=0)
    bar_width = width - price_width - size_width - 3
    ask_sums, bid_sums = _sums(asks), _sums(bids)
    most = max((*ask_sums[-1:], *bid_sums[-1:]), default=Decimal())
    text = Text(no_wrap=True, overflow="crop")

    def add(level: Level, total: Decimal, style: str) -> None:
        text.append(f"{level[0]:>{price_width}} ", style)
        text.append(f"{level[1]:>{size_width}} ")
        text.append(_bar(total, most, bar_width), style)
        text.append("\n")

    for level, total in reversed(list(zip(asks, ask_sums, strict=True))):
        add(level, total, "red")
    if asks and bids:
        spread = Decimal(asks[0][0]) - Decimal(bids[0][0])
        text.append(f"{f'spread {spread}':>{price_width + size_width + 1}}\n", "dim")
    for level, total in zip(bids, bid_sums, strict=True):
        add(level, total, "green")
    text.rstrip()
    return text


def _sums(levels: Sequence[Level]) -> list[Decimal]:
    sums: list[Decimal] = []
    for level in levels:
        sums.append(Decimal(level[1]) + (sums[-1] if sums else 0))
    return sums


def _bar(part: Decimal, whole: Decimal, width: int) -> str:
    if width <= 0 or not whole:
        return ""
    eighths = int(part * width * 8 / whole)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def account_panel(
    sums: rows.AccountInfo | None, margins: Sequence[rows.Margin], balances: Sequence[rows.Balance]
) -> RenderableType:
    """Sums, margins and balances, one above the other."""
    parts: list[RenderableType] = [waiting() if sums is None else fields_table(account_fields(sums))]
    parts += [rows_table(margins, MARGINS)] if margins else []
    parts += [rows_table(balances, BALANCES)] if balances else []
    return Group(*[item for part in parts for item in (part, Text())])


def event_line(event: object) -> tuple[str, str]:
    """An event of the connection in words, and its colour."""
    from tickwire.client.events import BadFrame, Connected, Gap, Reconnecting, Refused, Resynchronised

    match event:
        case Connected():
            return f"connected ({event.number})", "green"
        case Reconnecting():
            code = f" {event.code}" if event.code else ""
            return f"connection lost:{code} {event.reason}; trying again in {event.delay:.1f} s", "red"
        case Gap():
            return f"{event.topic}: something is missing: {event.reason}", "yellow"
        case Resynchronised():
            return f"{event.topic}: whole, from {event.source}", ""
        case Refused():
            return f"refused: {event.operation} {' '.join(event.topics)}: {event.error}: {event.message}", "red"
        case BadFrame():
            return f"a frame that could not be read: {event.reason}", "yellow"
        case _:
            return str(event), ""
