"""Fee levels: by the volume of 30 days or the balance, looked at when a UTC day begins."""

from tests.exchange.world import World, amount_text, money

from tickwire.exchange.settings import FeeLevel
from tickwire.wire.intervals import DAY, HOUR

LEVELS = (
    FeeLevel(money("10000"), money("5000000"), 15_000, 50_000),
    FeeLevel(money("50000"), money("9000000"), 10_000, 70_000),
)


def world_of_levels() -> World:
    world = World("anna", "boris", fee_levels=LEVELS)
    world.mark("50000")
    return world


def test_a_level_holds_from_the_day_after_its_volume() -> None:
    world = world_of_levels()
    world.trade("50000", "0.3", "anna", "boris")
    anna = world.account("anna")
    assert (anna.fee_level, amount_text(anna.volume_today)) == (0, "15000")
    world.wait(DAY - HOUR)
    assert anna.fee_level == 0
    world.wait(HOUR)
    assert (anna.fee_level, anna.volume_today) == (1, 0)
    before = anna.wallets["USDT"]
    world.trade("50000", "0.1", "anna", "boris")
    assert amount_text(before - anna.wallets["USDT"]) == "0.75", "5,000 at 0.00015 as the maker"


def test_volume_is_forgotten_after_thirty_days() -> None:
    world = world_of_levels()
    world.trade("50000", "0.3", "anna", "boris")
    for _ in range(30):
        world.wait(DAY)
        assert world.account("anna").fee_level == 1
    world.wait(DAY)
    assert world.account("anna").fee_level == 0


def test_days_without_the_exchange_count_as_days() -> None:
    world = world_of_levels()
    world.trade("50000", "0.3", "anna", "boris")
    world.wait(29 * DAY)
    assert world.account("anna").fee_level == 1
    world.wait(40 * DAY)
    assert world.account("anna").fee_level == 0
    assert len(world.account("anna").volumes) == 30


def test_balance_reaches_a_level_too() -> None:
    world = world_of_levels()
    world.open("carla", "6000000")
    world.wait(DAY)
    assert world.account("carla").fee_level == 1


def test_no_level_is_dearer_than_the_first() -> None:
    world = world_of_levels()
    world.trade("50000", "2", "anna", "boris")
    world.wait(DAY)
    anna = world.account("anna")
    assert (anna.fee_level, anna.maker_fee_rate, anna.taker_fee_rate) == (2, 10_000, 60_000)


def test_open_orders_hold_by_the_new_rate() -> None:
    world = world_of_levels()
    world.trade("50000", "0.3", "anna", "boris")
    world.buy("anna", "1", "40000")
    position = world.position("anna")
    before = position.buy_reserve
    world.wait(DAY)  # the invariants compare each reserve with its formula
    assert position.buy_reserve < before


def test_the_fund_pays_no_fee() -> None:
    world = World("boris", "carla")
    world.open("anna", "700")
    world.mark("30000")
    world.leverage("anna", 50, isolated=True)
    world.trade("30000", "1", "boris", "anna")
    fees = world.engine.fees["USDT"]
    world.sell("carla", "1", "30590")
    world.venues("31000")  # a mark of 30,500, beyond the threshold of a short with 600 less 150
    assert (world.size("anna"), world.size("carla")) == ("0", "-1")
    assert world.engine.fees["USDT"] - fees == money("30590") * 2 // 10_000, "carla's as the maker"
