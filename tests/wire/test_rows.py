import json

import msgspec
import pytest

from tickwire.wire import rows

# The field names of the contract, section by section.
CONTRACT = {
    rows.Contract: "symbol quoteCurrency initMarginRate maintMarginRate maxLeverage baseInterestRate fundingRateCap "
    "fundingIntervalHours tickSize unitOrderQty notionalMinOrderAmount notionalMaxOrderAmount "
    "notionalMaxPositionAmount maxOpenInterest",
    rows.Ticker: "symbol volume24h turnover24h priceChange24h openInterest bidPrice askPrice lastPrice markPrice "
    "indexPrice fundingRate nextFundingTime fundingIntervalHours fundingRateCap",
    rows.FundingInfo: "symbol lastFundingRate fundingRate nextFundingTime fundingIntervalHours fundingRateCap",
    rows.Orderbook: "symbol bids asks",
    rows.OrderbookDelta: "symbol seq prevSeq bids asks",
    rows.FeeRate: "level requiredTradeVolume requiredAssetBalance feeRate",
    rows.AccountInfo: "totalWalletBalance totalUnrealizedPnl totalMarginBalance totalMarginReserved availableBalance",
    rows.Margin: "currency isolatedMarginAvailable unrealizedPnl reservedForIsolatedMargin "
    "reservedForIsolatedMarginPosition crossMarginAvailable marginBalance crossMarginRatio initMarginReserved "
    "initPositionMargin",
    rows.Balance: "asset balance availableBalance maxWithdrawableAmount",
    rows.Position: "symbol slot leverage marginType buyableBoosts boostRemainingCount positionSide positionAmount "
    "positionQty markPrice unrealizedPnl initialMargin maintMargin entryPrice breakEvenPrice liquidationPrice totalFee "
    "boostExpiryTimestamp boostRealizedPnl",
    rows.Order: "orderId symbol side orderType quantity amount price triggerPrice status timeInForce takeProfitPrice "
    "stopLossPrice leavesQty",
    rows.Execution: "execId orderId symbol side orderType price quantity timeInForce status execType "
    "settlementCurrency orderTime transactTime lastPrice lastQty execFee cumQty avgPrice conditionalOrderType",
    rows.Symbols: "spot perpetualSwap",
    rows.ServerTime: "serverTime",
    rows.Margins: "margins",
    rows.TradeMode: "tradeMode",
}


@pytest.mark.parametrize("row", CONTRACT)
def test_fields_have_the_contracts_names_and_order(row: type[rows.Row]) -> None:
    assert [field.encode_name for field in msgspec.structs.fields(row)] == CONTRACT[row].split()


def test_a_history_row_is_an_order_with_its_end() -> None:
    names = [field.encode_name for field in msgspec.structs.fields(rows.OrderHistoryRow)]
    order = CONTRACT[rows.Order].split()
    assert names[: len(order)] == order
    assert " ".join(names[len(order) :]) == (
        "orderCancelReason orderRejectReason orderTime transactTime cumQty avgPrice cumFee initLeverage "
        "conditionalOrderType"
    )


def test_null_is_sent() -> None:
    ticker = rows.Ticker("BTCUSDT", *[None] * 13)
    assert json.loads(msgspec.json.encode(ticker)) == dict.fromkeys(CONTRACT[rows.Ticker].split()) | {
        "symbol": "BTCUSDT"
    }
