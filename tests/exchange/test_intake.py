import uuid
from typing import Any

import pytest
from tests.exchange.world import BTC, SPOT, World, money

from tickwire.exchange import intake
from tickwire.exchange.commands import (
    AdjustMargin,
    AmendOrder,
    CancelOrder,
    OrderType,
    PlaceOrder,
    SetLeverage,
    SetTradeMode,
    TimeInForce,
)
from tickwire.exchange.identifiers import order_uuid
from tickwire.wire.errors import ApiError
from tickwire.wire.requests import (
    AmendOrderRequest,
    CancelOrderRequest,
    LeverageRequest,
    MarginRequest,
    OrderRequest,
    TradeModeRequest,
)

WORLD = World("anna")
LIMIT = {"symbol": BTC, "side": "BUY", "type": "LIMIT", "quantity": "0.5", "price": "70000.1"}
MARKET = {"symbol": BTC, "side": "SELL", "type": "MARKET", "quantity": "0.5"}
STOP = {"symbol": BTC, "side": "SELL", "type": "STOP_MARKET", "quantity": "0.5", "price": "69000"}
COUNTERPARTY = {"price": None, "price_match_strategy": "PRICE_MATCH_STRATEGY_COUNTERPARTY_1"}


def place(fields: dict[str, Any], **changes: Any) -> PlaceOrder:
    return intake.place_order(WORLD.engine, "anna", OrderRequest(**(fields | changes)))


def test_orders() -> None:
    assert place(LIMIT) == PlaceOrder("anna", BTC, 1, OrderType.LIMIT, quantity=500_000, price=700_001)
    assert place(LIMIT, time_in_force="FOK", reduce_only=True, max_slippage_price="70001") == PlaceOrder(
        "anna",
        BTC,
        1,
        OrderType.LIMIT,
        quantity=500_000,
        price=700_001,
        time_in_force=TimeInForce.FOK,
        reduce_only=True,
        max_slippage_price=700_010,
    )
    assert place(LIMIT, **COUNTERPARTY) == PlaceOrder(
        "anna", BTC, 1, OrderType.LIMIT, quantity=500_000, match_counterparty=True
    )
    assert place(MARKET, quantity=None, amount="100.5") == PlaceOrder(
        "anna", BTC, -1, OrderType.MARKET, amount=money("100.5")
    )
    assert place(STOP) == PlaceOrder("anna", BTC, -1, OrderType.STOP_MARKET, quantity=500_000, trigger_price=690_000)


@pytest.mark.parametrize(
    ("fields", "changes", "message"),
    [
        (LIMIT, {"price": None}, "price: expected the limit of a LIMIT order, got nothing"),
        (STOP, {"price": None}, "price: expected the trigger of a STOP_MARKET order, got nothing"),
        (MARKET, {"price": "1"}, "price: expected none with MARKET; maxSlippagePrice bounds its fills"),
        (LIMIT, {"amount": "5"}, "quantity: expected exactly one of quantity and amount, got both"),
        (LIMIT, {"quantity": None}, "quantity: expected exactly one of quantity and amount, got neither"),
        (MARKET, {"time_in_force": "IOC"}, "timeInForce: expected with LIMIT only, got MARKET"),
        (STOP, {"time_in_force": "GTC"}, "timeInForce: expected with LIMIT only, got STOP_MARKET"),
        (MARKET, COUNTERPARTY, "priceMatchStrategy: expected with LIMIT only, got MARKET"),
        (LIMIT, COUNTERPARTY | {"price": "1"}, "price: expected none beside priceMatchStrategy, which sets it"),
        (LIMIT, {"price": "70000.11"}, "price: expected at most 1 decimals, got '70000.11'"),
        (LIMIT, {"quantity": "0.0000001"}, "quantity: expected at most 6 decimals"),
        (LIMIT, {"quantity": "0"}, "quantity: expected more than zero, got 0"),
        (LIMIT, {"quantity": "-1"}, "quantity: expected more than zero, got -1"),
        (LIMIT, {"quantity": "1e3"}, "quantity: expected a decimal"),
        (LIMIT, {"quantity": "NaN"}, "quantity: expected a decimal"),
        (LIMIT, {"quantity": None, "amount": "0.000000001"}, "amount: expected at most 8 decimals"),
        (LIMIT, {"max_slippage_price": "0.01"}, "maxSlippagePrice: expected at most 1 decimals"),
    ],
)
def test_a_bad_order_names_its_field(fields: dict[str, Any], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError) as caught:
        place(fields, **changes)
    assert caught.value.code == "InvalidParameter"
    assert caught.value.message.startswith(message)


def test_an_unknown_symbol() -> None:
    for call in (
        lambda: place(LIMIT, symbol="NOPE"),
        lambda: intake.cancel_order(WORLD.engine, "anna", CancelOrderRequest(symbol="NOPE", order_id="x")),
        lambda: intake.set_leverage(
            WORLD.engine, "anna", LeverageRequest(symbol="NOPE", leverage=1, margin_type="CROSS")
        ),
    ):
        with pytest.raises(ApiError, match="InvalidSymbol: symbol: no symbol 'NOPE'"):
            call()


def test_cancel_and_amend_take_the_whole_id() -> None:
    world = World("anna", "boris")
    order = world.buy("anna", "1", "50000")
    text = order_uuid(order.id, order.time)
    assert intake.cancel_order(
        world.engine, "anna", CancelOrderRequest(symbol=BTC, order_id=text.upper())
    ) == CancelOrder("anna", BTC, order.id)
    request = AmendOrderRequest(symbol=BTC, order_id=text, new_take_profit_price="51000", new_stop_loss_price=None)
    assert intake.amend_order(world.engine, "anna", request) == AmendOrder("anna", BTC, order.id, 510_000, None)
    bad = AmendOrderRequest(symbol=BTC, order_id=text, new_stop_loss_price="0")
    with pytest.raises(ApiError, match="newStopLossPrice: expected more than zero"):
        intake.amend_order(world.engine, "anna", bad)
    for wrong, code in (
        (order_uuid(order.id, order.time + 10**6), "OrderNotFound"),
        (str(uuid.UUID(int=1)), "OrderNotFound"),
        ("1", "InvalidParameter"),
    ):
        with pytest.raises(ApiError, match=code):
            intake.cancel_order(world.engine, "anna", CancelOrderRequest(symbol=BTC, order_id=wrong))


def test_leverage() -> None:
    def leverage(number: int, symbol: str = BTC) -> SetLeverage:
        return intake.set_leverage(
            WORLD.engine, "anna", LeverageRequest(symbol=symbol, leverage=number, margin_type="ISOLATED")
        )

    assert leverage(5) == SetLeverage("anna", BTC, 5, True)
    with pytest.raises(ApiError, match="leverage: expected at least 1, got 0"):
        leverage(0)
    with pytest.raises(ApiError, match="TooHighLeverage"):
        leverage(10**30)
    with pytest.raises(ApiError, match="expected a perpetual, got the spot pair BTCUSDT"):
        leverage(5, SPOT)


def test_margin() -> None:
    def adjust(amount: str, kind: Any) -> AdjustMargin:
        return intake.adjust_margin(WORLD.engine, "anna", MarginRequest(symbol=BTC, amount=amount, type=kind))

    assert adjust("1.5", 1) == AdjustMargin("anna", BTC, money("1.5"))
    assert adjust("1.5", 2) == AdjustMargin("anna", BTC, -money("1.5"))
    for amount in ("0", "-1"):
        with pytest.raises(ApiError, match="amount: expected more than zero"):
            adjust(amount, 2)


def test_trade_mode() -> None:
    request = TradeModeRequest(trade_mode="MULTIPLE_POSITIONS")
    assert intake.set_trade_mode(WORLD.engine, "anna", request) == SetTradeMode("anna", True)
    with pytest.raises(ApiError, match="account: no account 'nobody'"):
        intake.set_trade_mode(WORLD.engine, "nobody", request)
