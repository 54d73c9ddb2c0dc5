"""`tickwire orders`, `positions`, `account`, `history`, `leverage`, `margin`: the account from the terminal."""

import itertools
import sys
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from cyclopts import App, Parameter, validators

from tickwire.cli.target import EXIT_CODES, SERVER_AND_KEY, AsJson, Target, connected

__all__ = ["account_app", "history_app", "leverage_app", "margin_app", "orders_app", "positions_app"]

_SHOWS = f"{SERVER_AND_KEY}\n"
_TRADES = f"{EXIT_CODES}\n\n{SERVER_AND_KEY}\n"
_FLAGS = {"symbol": "SYMBOL", "leverage": "LEVERAGE", "amount": "AMOUNT", "marginType": "--isolated/--cross"}

Symbol = Annotated[str, Parameter(help="Such as BTCUSDT.PERP.")]
AnySymbol = Annotated[str | None, Parameter(help="Such as BTCUSDT.PERP; without it, all.")]
Count = Annotated[int, Parameter(help="At most so many, the newest.", validator=validators.Number(gte=1))]
Since = Annotated[
    datetime | None, Parameter(help="From here on, such as 2026-11-24T09:30; local time when no zone is given.")
]
Until = Annotated[datetime | None, Parameter(help="Up to here.")]

orders_app = App(
    name="orders",
    help=f"Show the open orders, oldest first.\n\n{_SHOWS}",
    help_epilogue="""Examples:

    tickwire orders

    tickwire orders BTCUSDT.PERP --json | jq -r '.[].orderId'
""",
)
positions_app = App(
    name="positions",
    help=f"""Show the positions, and the symbols whose leverage was set.

{_SHOWS}""",
    help_epilogue="""Examples:

    tickwire positions

    tickwire positions BTCUSDT.PERP --json | jq -r '.[0].unrealizedPnl'
""",
)
account_app = App(
    name="account",
    help=f"Show the account: its sums, margins and balances.\n\n{_SHOWS}",
    help_epilogue="""Examples:

    tickwire account

    tickwire account --json | jq -r .account.availableBalance
""",
)
history_app = App(
    name="history",
    help=f"Show past orders, or executions and funding payments, newest first.\n\n{_SHOWS}",
    help_epilogue="""Examples:

    tickwire history orders

    tickwire history orders BTCUSDT.PERP --since 2026-11-24T09:30 --count 1000 --json

    tickwire history executions --type TRADE

    tickwire history executions --order 01a20eb1-fa71-7000-8000-000000017513
""",
)
leverage_app = App(
    name="leverage",
    help=f"""Set the leverage of a perpetual, and whether its margin is isolated.

Without --isolated or --cross the kind of margin stays as it is.

{_TRADES}""",
    help_epilogue="""Examples:

    tickwire leverage BTCUSDT.PERP 10

    tickwire leverage BTCUSDT.PERP 5 --isolated
""",
)
margin_app = App(
    name="margin",
    help=f"Add margin to an isolated position, or take some out.\n\n{_TRADES}",
    help_epilogue="""Examples:

    tickwire margin BTCUSDT.PERP add 100

    tickwire margin BTCUSDT.PERP reduce 50.5 --json
""",
)


def _print_json(rows: object) -> None:
    print(msgspec.json.encode(rows).decode())


def _symbol(symbol: str | None) -> str | None:
    return None if symbol is None else symbol.upper()


@orders_app.default
def orders(symbol: AnySymbol = None, /, *, target: Target = Target(), as_json: AsJson = False) -> None:  # noqa: B008
    """Show the open orders."""
    from tickwire.cli.tables import ORDERS, show_rows

    with connected("orders", target, as_json, _FLAGS) as rest:
        found = rest.open_orders(_symbol(symbol))
    if as_json:
        _print_json(found)
    else:
        show_rows(found, ORDERS, "no open orders")


@positions_app.default
def positions(symbol: AnySymbol = None, /, *, target: Target = Target(), as_json: AsJson = False) -> None:  # noqa: B008
    """Show the positions."""
    from tickwire.cli.tables import POSITIONS, show_rows

    with connected("positions", target, as_json, _FLAGS) as rest:
        found = rest.positions(_symbol(symbol))
    if as_json:
        _print_json(found)
    else:
        show_rows(found, POSITIONS, "no positions")


@account_app.default
def account(*, target: Target = Target(), as_json: AsJson = False) -> None:  # noqa: B008
    """Show the account."""
    from tickwire.cli.tables import BALANCES, MARGINS, account_fields, show_fields, show_rows

    with connected("account", target, as_json) as rest:
        sums, margins, balances = rest.account(), rest.margins(), rest.balances()
    if as_json:
        _print_json({"account": sums, "margins": margins, "balances": balances})
        return
    show_fields(account_fields(sums))
    print()
    show_rows(margins, MARGINS, "no margins")
    print()
    show_rows(balances, BALANCES, "no balances")


@history_app.command(name="orders")
def history_orders(
    symbol: AnySymbol = None,
    /,
    *,
    count: Count = 20,
    since: Since = None,
    until: Until = None,
    target: Target = Target(),  # noqa: B008 (frozen)
    as_json: AsJson = False,
) -> None:
    """Show past and open orders, newest first."""
    from tickwire.cli.tables import PAST_ORDERS, show_rows

    with connected("history orders", target, as_json, _FLAGS) as rest:
        rows = rest.iterate_orders(_symbol(symbol), start=_zoned(since), end=_zoned(until))
        found = list(itertools.islice(rows, count))
    if as_json:
        _print_json(found)
    else:
        show_rows(found, PAST_ORDERS, "no orders")


@history_app.command(name="executions")
def history_executions(
    symbol: AnySymbol = None,
    /,
    *,
    order: Annotated[str | None, Parameter(help="Those of this order id.")] = None,
    type: Annotated[
        Literal["NEW", "TRADE", "CANCELED", "REPLACED", "REJECTED", "TRIGGERED", "FUNDING"] | None,
        Parameter(help="Only these; TRADE are the fills."),
    ] = None,
    count: Count = 20,
    since: Since = None,
    until: Until = None,
    target: Target = Target(),  # noqa: B008 (frozen)
    as_json: AsJson = False,
) -> None:
    """Show what happened to orders, and funding payments, newest first."""
    from tickwire.cli.tables import EXECUTIONS, show_rows

    with connected("history executions", target, as_json, _FLAGS | {"orderId": "--order"}) as rest:
        rows = rest.iterate_executions(
            _symbol(symbol), order_id=order, exec_type=type, start=_zoned(since), end=_zoned(until)
        )
        found = list(itertools.islice(rows, count))
    if as_json:
        _print_json(found)
    else:
        show_rows(found, EXECUTIONS, "no executions")


def _zoned(time: datetime | None) -> datetime | None:
    """A time of the user's, who means the local zone unless told otherwise."""
    return None if time is None else time.astimezone()


@leverage_app.default
def leverage(
    symbol: Symbol,
    leverage: Annotated[int, Parameter(help="From 1 up to the symbol's maximum.")],
    /,
    *,
    isolated: Annotated[bool, Parameter(help="Margin of its own.", negative="")] = False,
    cross: Annotated[bool, Parameter(help="Margin shared with the other cross positions.", negative="")] = False,
    target: Target = Target(),  # noqa: B008 (frozen)
    as_json: AsJson = False,
) -> None:
    """Set leverage."""
    from tickwire.cli.tables import POSITIONS, show_rows

    if isolated and cross:
        print("tickwire leverage: expected --isolated or --cross, got both", file=sys.stderr)
        sys.exit(2)
    with connected("leverage", target, as_json, _FLAGS) as rest:
        margin_type: Literal["CROSS", "ISOLATED"] = "ISOLATED" if isolated else "CROSS"
        if not isolated and not cross:
            margin_type = next((row.margin_type for row in rest.positions(symbol.upper())), "CROSS")
        position = rest.set_leverage(symbol.upper(), leverage, margin_type)
    if as_json:
        _print_json(position)
    else:
        show_rows([position], POSITIONS, "")


@margin_app.default
def margin(
    symbol: Symbol,
    what: Annotated[Literal["add", "reduce"], Parameter(help="What to do.")],
    amount: Annotated[str, Parameter(help="In the quote currency, such as 100.")],
    /,
    *,
    target: Target = Target(),  # noqa: B008 (frozen)
    as_json: AsJson = False,
) -> None:
    """Change a position's margin."""
    from tickwire.cli.tables import POSITIONS, show_rows

    with connected("margin", target, as_json, _FLAGS) as rest:
        change = rest.add_margin if what == "add" else rest.reduce_margin
        position = change(symbol.upper(), amount)
    if as_json:
        _print_json(position)
    else:
        show_rows([position], POSITIONS, "")
