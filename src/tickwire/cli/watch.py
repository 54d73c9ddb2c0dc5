"""`tickwire watch`: follow a market and the account in the terminal, or topics as lines."""

import asyncio
import os
import sys
from typing import Annotated

from cyclopts import App, Parameter

from tickwire.cli.target import SERVER_AND_KEY, Found, NoServer, Target, fail
from tickwire.wire.topics import TopicError, TopicKind, parse_topic

__all__ = ["watch_app"]

DEFAULT_SYMBOL = "BTCUSDT.PERP"
DEFAULT_INTERVAL = "1"

watch_app = App(
    name="watch",
    help=f"""Follow a market and the account until q or Ctrl-C, or topics as lines.

In a terminal it is a live screen: ticker, candles, order book, positions, orders, executions and account, and what
happens to the connection. Topics choose with what it begins; keys change symbol, interval and topic. Elsewhere, and
with --json or --csv, it is one line a frame, or a row. A connection that is lost is made anew.

{SERVER_AND_KEY}
""",
    help_epilogue="""Examples:

    tickwire watch

    tickwire watch kline.5.ETHUSDT.PERP account.order

    tickwire watch ticker.BTCUSDT.PERP --json | jq .data

    tickwire watch account.execution --csv > executions.csv
""",
)

# The tab of the screen that shows a topic of the account.
_TABS = {
    TopicKind.ACCOUNT: "account",
    TopicKind.MARGIN: "account",
    TopicKind.BALANCE: "account",
    TopicKind.POSITION: "positions",
    TopicKind.ORDER: "orders",
    TopicKind.EXECUTION: "executions",
}


@watch_app.default
def watch(
    *topics: str,
    target: Target = Target(),  # noqa: B008 (frozen)
    as_json: Annotated[bool, Parameter(name="--json", help="Print one frame a line.", negative="")] = False,
    as_csv: Annotated[
        bool, Parameter(name="--csv", help="Print one row a line, of topics of one kind.", negative="")
    ] = False,
) -> None:
    """Follow topics."""
    if as_json and as_csv:
        print("tickwire watch: expected --json or --csv, got both", file=sys.stderr)
        sys.exit(2)
    # The screen reads keys and draws, which takes all three.
    in_terminal = not as_json and not as_csv and all(map(os.isatty, (0, 1, 2)))
    try:
        if not topics and not in_terminal:
            raise TopicError("expected a topic, such as: tickwire watch ticker.BTCUSDT.PERP")
        for topic in topics:
            parse_topic(topic)
        found = target.find()
        if in_terminal:
            _screen(found, topics)
        else:
            _lines(found, topics, as_csv)
    except (TopicError, NoServer) as error:
        fail("watch", str(error))


def _lines(found: Found, topics: tuple[str, ...], as_csv: bool) -> None:
    from tickwire.cli.lines import LinesError, csv_printer, follow_lines, print_frame

    try:
        show = csv_printer(topics) if as_csv else print_frame
        asyncio.run(follow_lines(found, topics, show))
    except LinesError as error:
        fail("watch", str(error))
    except KeyboardInterrupt:
        sys.exit(130)


def _screen(found: Found, topics: tuple[str, ...]) -> None:
    # Slow to load, and of use here only.
    from tickwire.cli.screen import WatchScreen

    symbol, interval, tab = DEFAULT_SYMBOL, DEFAULT_INTERVAL, "positions"
    for topic in map(parse_topic, reversed(topics)):
        symbol, interval = topic.symbol or symbol, topic.interval or interval
        tab = _TABS.get(topic.kind, tab)
    screen = WatchScreen(found, symbol, interval, tab)
    reason = screen.run()
    if reason is not None:
        fail("watch", reason)
    sys.exit(screen.return_code or 0)
