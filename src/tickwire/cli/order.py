"""`tickwire order` and `tickwire cancel`: trade from the terminal."""

import sys
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import App, Parameter

from tickwire.cli.target import EXIT_CODES, SERVER_AND_KEY, AsJson, Target, connected, fail

__all__ = ["cancel_app", "order_app"]

Symbol = Annotated[str, Parameter(help="Such as BTCUSDT.PERP, or BTCUSDT for spot.")]

order_app = App(
    name="order",
    help=f"""Place an order.

MARKET without a price, LIMIT with --price or --best, STOP_MARKET with --stop. {EXIT_CODES} An order is sent once: when
the connection breaks before the answer is here, the message says so, and tickwire orders and tickwire history orders
show whether it was placed.

{SERVER_AND_KEY}
""",
    help_epilogue="""Examples:

    tickwire order buy BTCUSDT.PERP 0.01

    tickwire order sell BTCUSDT.PERP 0.01 --price 80000 --tif GTC

    tickwire order buy BTCUSDT.PERP --amount 500 --take-profit 90000 --stop-loss 60000

    tickwire order sell BTCUSDT.PERP 0.01 --stop 70000 --reduce-only

    tickwire order buy BTCUSDT.PERP 0.01 --best --tif IOC --json | jq -r .orderId
""",
)

cancel_app = App(
    name="cancel",
    help=f"""Cancel one open order, those of a symbol, or all.

{EXIT_CODES}

{SERVER_AND_KEY}
""",
    help_epilogue="""Examples:

    tickwire cancel BTCUSDT.PERP 01a20eb1-fa72-7000-8000-000000017514

    tickwire cancel BTCUSDT.PERP --all

    tickwire cancel --all --json
""",
)

# By which name the user knows a field of the API.
_FLAGS = {
    "symbol": "SYMBOL",
    "side": "SIDE",
    "quantity": "QUANTITY",
    "amount": "--amount",
    "price": "--price",
    "priceMatchStrategy": "--best",
    "reduceOnly": "--reduce-only",
    "maxSlippagePrice": "--worst",
    "timeInForce": "--tif",
    "newTakeProfitPrice": "--take-profit",
    "newStopLossPrice": "--stop-loss",
    "orderId": "ORDER-ID",
}

_IN_DOUBT = "whether it was done, tickwire orders and tickwire history orders show"


@order_app.default
def order(
    side: Annotated[Literal["buy", "sell"], Parameter(help="What to do.")],
    symbol: Symbol,
    quantity: Annotated[str | None, Parameter(help="In base, such as 0.01; or give --amount.")] = None,
    /,
    *,
    amount: Annotated[str | None, Parameter(help="Value in quote, such as 500, instead of a quantity.")] = None,
    price: Annotated[str | None, Parameter(help="Limit: no fill is worse.")] = None,
    best: Annotated[bool, Parameter(help="LIMIT at the best price of the other side.", negative="")] = False,
    stop: Annotated[str | None, Parameter(help="Wait until the mid price is there, then trade at once.")] = None,
    tif: Annotated[Literal["GTC", "IOC", "FOK"] | None, Parameter(help="Time in force of a LIMIT order.")] = None,
    reduce_only: Annotated[bool, Parameter(help="Only make a position smaller.", negative="")] = False,
    worst: Annotated[str | None, Parameter(help="The worst price that a fill may have.")] = None,
    take_profit: Annotated[str | None, Parameter(help="Mid price at which to close with profit.")] = None,
    stop_loss: Annotated[str | None, Parameter(help="Mid price at which to close with loss.")] = None,
    target: Target = Target(),  # noqa: B008 (frozen)
    as_json: AsJson = False,
) -> None:
    """Place an order."""
    if (quantity is None) == (amount is None):
        _usage("order", "expected either QUANTITY or --amount, got " + ("none" if quantity is None else "both"))
    if (price is not None) + (stop is not None) + best > 1:
        _usage("order", "expected at most one of --price, --best and --stop")
    flags = _FLAGS | ({"price": "--stop"} if stop is not None else {})
    with connected("order", target, as_json, flags, in_doubt=_IN_DOUBT) as rest:
        placed = rest.place_order(
            symbol.upper(),
            "BUY" if side == "buy" else "SELL",
            quantity,
            amount=amount,
            price=price,
            trigger_price=stop,
            match_best=best,
            time_in_force=tif,
            reduce_only=reduce_only,
            max_slippage_price=worst,
        )
        shown, missing = placed, None
        if take_profit is not None or stop_loss is not None:
            shown, missing = _amended(rest, placed, take_profit, stop_loss)
    if as_json:
        print(msgspec.json.encode(shown).decode())
    else:
        from tickwire.cli.tables import ORDERS, show_rows

        show_rows([shown], ORDERS, "")
    if missing is not None:
        field = flags.get(missing.field or "", missing.field)
        message = f"the order was placed, but not its take-profit and stop-loss: {missing}"
        fail("order", message, as_json, code=missing.code, field=field, orderId=placed.order_id)


def _amended(rest: Any, placed: Any, take_profit: str | None, stop_loss: str | None) -> tuple[Any, Any]:
    """The order with its exits, or as it was placed and why they were refused."""
    from tickwire.client import ApiError

    try:
        return rest.amend_order(placed.symbol, placed.order_id, take_profit=take_profit, stop_loss=stop_loss), None
    except ApiError as error:
        return placed, error


@cancel_app.default
def cancel(
    symbol: Annotated[str | None, Parameter(help="Such as BTCUSDT.PERP.")] = None,
    order_id: Annotated[str | None, Parameter(help="As tickwire orders shows it.")] = None,
    /,
    *,
    all_orders: Annotated[
        bool, Parameter(name="--all", help="Every open order, or every one of SYMBOL.", negative="")
    ] = False,
    target: Target = Target(),  # noqa: B008 (frozen)
    as_json: AsJson = False,
) -> None:
    """Cancel orders."""
    if all_orders == (order_id is not None) or (symbol is None and not all_orders):
        _usage("cancel", "expected SYMBOL and ORDER-ID, or --all, with SYMBOL or without")
    symbol = None if symbol is None else symbol.upper()
    with connected("cancel", target, as_json, _FLAGS, in_doubt=_IN_DOUBT) as rest:
        if order_id is not None:
            assert symbol is not None
            rest.cancel_order(symbol, order_id)
            cancelled = [order_id]
        else:
            cancelled = _cancel_each(rest, rest.open_orders(symbol))
    if as_json:
        print(msgspec.json.encode({"cancelled": cancelled}).decode())
    else:
        print("\n".join(f"cancelled {found}" for found in cancelled) or "no open orders")


def _cancel_each(rest: Any, orders: list[Any]) -> list[str]:
    """The ids of those that were cancelled; one that was filled meanwhile is none of them."""
    from tickwire.client import ApiError

    cancelled = []
    for found in orders:
        try:
            rest.cancel_order(found.symbol, found.order_id)
        except ApiError as error:
            if error.code != "OrderNotFound":
                raise
        else:
            cancelled.append(found.order_id)
    return cancelled


def _usage(command: str, message: str) -> None:
    print(f"tickwire {command}: {message}; see tickwire {command} --help", file=sys.stderr)
    sys.exit(2)
