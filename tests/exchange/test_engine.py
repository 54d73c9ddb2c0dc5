import msgspec
import pytest
from tests.exchange.world import BTC, BUY, ETH, SPOT, START, World, money, without_time

from tickwire.exchange.commands import BackfillCandles, CancelAll, CreateAccount, Deposit, Tick, VenuePrices
from tickwire.exchange.engine import Engine
from tickwire.exchange.events import Change
from tickwire.wire.intervals import DAY, HOUR, MINUTE, SECOND


@pytest.fixture
def world() -> World:
    return World("anna", "boris")


def test_time_never_goes_back(world: World) -> None:
    later = world.engine.apply(START + 5, Tick())
    earlier = world.engine.apply(START, Tick())
    assert (later.time, earlier.time) == (START + 5, START + 5)
    assert earlier.sequence == later.sequence + 1 == world.engine.sequence


def test_a_refused_command_still_lets_time_pass(world: World) -> None:
    world.trade("50000", "1", "anna", "boris")
    world.time += MINUTE
    events = world.apply(CancelAll("nobody"))
    assert events.error is not None
    assert [interval for _, interval, _ in events.closed] == ["1"]
    assert events.markets == {world.market(): Change.CANDLE}


@pytest.mark.parametrize("pause", [SECOND, MINUTE, 8 * HOUR])
def test_it_makes_no_difference_which_command_is_the_first_of_a_second(pause: int) -> None:
    dumps = []
    for ticks in (0, 1):
        world = World("anna", "boris")
        world.mark("50000")
        world.trade("50000", "1", "anna", "boris")
        world.sell("boris", "1", "50030")
        world.time += pause
        for _ in range(ticks):
            world.do(Tick())
        world.buy("anna", "1", "49990")  # is not in the basis sample of this second
        dumps.append(without_time(world.engine.dump()))
    assert dumps[0] == dumps[1]


def test_the_basis_is_sampled_each_second(world: World) -> None:
    world.venues("50000")
    world.buy("anna", "1", "50010")
    world.sell("boris", "1", "50030")
    for _ in range(3):
        world.wait(SECOND // 2)
    assert list(world.market().prices.basis) == [400]  # one full second so far: double (50,020 - 50,000) in ticks
    world.wait(SECOND // 2)
    assert list(world.market().prices.basis) == [400, 400]
    assert world.market().mark_price == 500_100  # the mean of the index and the basis


def test_changes_are_named(world: World) -> None:
    market = world.market()
    assert world.do(world.command("anna", BUY, "1", "50000")).markets == {market: Change.BOOK}
    traded = world.do(world.command("boris", -1, "1", "50000"))
    # Without an index, the last trade is what positions are valued at.
    assert traded.markets == {market: Change.BOOK | Change.TRADE | Change.PRICE}
    assert list(traded.accounts) == [world.account("boris"), world.account("anna")]
    assert world.venues("50000").markets == {market: Change.PRICE}
    assert world.venues("50000").markets == {}
    assert list(world.do(Deposit("anna", "USDT", 1)).accounts) == [world.account("anna")]
    assert list(world.do(CreateAccount("new")).accounts) == [world.account("new")]


def test_the_book_counts_the_commands_that_changed_it(world: World) -> None:
    book = world.market().book
    world.buy("anna", "1", "50000")
    world.buy("anna", "1", "49999")
    assert book.sequence == 2
    assert list(book.bids.changed) == [499_990]
    world.buy("anna", "1", trigger="60000")
    assert book.sequence == 2, "a stop is not in the book"
    assert not book.bids.changed
    world.sell("boris", "2", "49999")
    assert (book.sequence, list(book.bids.changed)) == (3, [500_000, 499_990])
    world.wait()
    assert book.sequence == 3


def test_venue_prices_need_a_perpetual(world: World) -> None:
    world.refuse(VenuePrices(SPOT, (1,)), "InvalidParameter")
    world.refuse(VenuePrices("NOPE", (1,)), "InvalidSymbol")


def test_the_past_of_a_series_is_accepted_while_it_is_empty(world: World) -> None:
    rows = ((START - 2 * MINUTE, 1, 3, 1, 2, 10, 20), (START - MINUTE, 2, 5, 2, 4, 10, 30))
    events = world.do(BackfillCandles(BTC, "1", rows))
    assert events.markets == {world.market(): Change.CANDLE}
    assert world.market().last_price == 4
    assert world.market().candles.statistics() == (20, 50, 3)
    world.do(BackfillCandles(BTC, "60", ((START - HOUR, 1, 5, 1, 4, 20, 50),)))
    world.refuse(BackfillCandles(BTC, "1", rows), "InvalidParameter")
    world.refuse(BackfillCandles(BTC, "60", rows), "InvalidParameter")
    world.refuse(BackfillCandles(BTC, "2", rows), "InvalidParameter")
    world.trade("2000", "1", "anna", "boris", ETH)
    world.refuse(BackfillCandles(ETH, "1", rows), "InvalidParameter")
    world.do(BackfillCandles(ETH, "1D", ((START - DAY, 1, 5, 1, 4, 20, 50),)))


def test_a_dump_is_canonical_and_loads_back(world: World) -> None:
    world.mark("50000")
    order = world.buy("anna", "1", "50000")
    world.do(world.exits(order, take_profit="51000", stop_loss="49000"))
    world.sell("boris", "0.5", "50000")
    world.sell("boris", "1", trigger="40000")
    world.deposit("anna", "2", "BTC")
    world.sell("anna", "1", "60000", SPOT)
    engine = world.engine
    data = engine.dump()
    assert engine.dump() == data
    copy = Engine.load({s: m.instrument for s, m in engine.markets.items()}, engine.settings, data)
    assert copy.dump() == data
    for one in (engine, copy):
        one.apply(world.time, world.command("boris", -1, "0.2", "50000"))
        one.apply(world.time + SECOND, world.command("boris", -1, "0.1", "49000"))
    assert copy.dump() == engine.dump()


def test_money_larger_than_64_bits_survives_a_dump() -> None:
    world = World()
    world.open("whale")
    for _ in range(4):
        world.do(Deposit("whale", "USDT", 2**62))
    copy = Engine.load(
        {s: m.instrument for s, m in world.engine.markets.items()}, world.engine.settings, world.engine.dump()
    )
    assert copy.accounts["whale"].wallets["USDT"] == 2**64 + money("1000000")


def test_executions_encode_as_the_contracts_rows(world: World) -> None:
    world.buy("anna", "1", "50000")
    events = world.do(world.command("boris", -1, "1"))
    row = msgspec.json.decode(msgspec.json.encode(events.executions[-1].execution))
    assert (row["execType"], row["orderType"], row["price"], row["lastPrice"]) == ("TRADE", "MARKET", None, "50000.0")
    assert row["execFee"] == "30"
