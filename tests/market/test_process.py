import math
from random import Random

import pytest
from tests.market.harness import clustering, correlation, kurtosis, mean

from tickwire.market.process import MAX_FACTOR, YEAR_SECONDS, Asset, MeanReverting, PriceProcess

ASSETS = {"BTC": Asset(0.45, 1.0), "ETH": Asset(0.60, 1.15), "DOGE": Asset(0.90, 1.35)}


def returns(seed: int, seconds: float, count: int) -> dict[str, list[float]]:
    process = PriceProcess(ASSETS, Random(seed))
    moves: dict[str, list[float]] = {name: [] for name in ASSETS}
    for _ in range(count):
        before = dict(process.displacements)
        process.advance(seconds)
        for name, kept in moves.items():
            kept.append(process.displacements[name] - before[name])
    return moves


def test_is_repeatable() -> None:
    assert returns(1, 0.3, 50) == returns(1, 0.3, 50)
    assert returns(1, 0.3, 50) != returns(2, 0.3, 50)


# Two weeks of minutes see few of the quiet and busy times that take days, so they tell least about the long run.
@pytest.mark.parametrize(
    ("seconds", "count", "tolerance"), [(60.0, 20_000, 0.35), (3_600.0, 10_000, 0.15), (86_400.0, 5_000, 0.1)]
)
def test_has_the_volatility_of_its_assets_at_any_length_of_step(seconds: float, count: int, tolerance: float) -> None:
    for name, moves in returns(3, seconds, count).items():
        annual = math.sqrt(mean([move * move for move in moves]) * YEAR_SECONDS / seconds)
        assert annual == pytest.approx(ASSETS[name].volatility, rel=tolerance)


@pytest.mark.parametrize(("seconds", "count"), [(1.0, 6_000), (60.0, 6_000), (900.0, 6_000)])
def test_has_fat_tails_and_clustered_volatility(seconds: float, count: int) -> None:
    for moves in returns(4, seconds, count).values():
        assert kurtosis(moves) > 4.0
        assert clustering(moves) > 0.05
        # The direction is not to be foretold, unlike the size.
        assert abs(correlation(moves[:-1], moves[1:])) < 0.1


def test_correlates_the_assets() -> None:
    moves = returns(5, 60.0, 20_000)
    assert correlation(moves["BTC"], moves["ETH"]) > 0.5
    assert correlation(moves["BTC"], moves["DOGE"]) > 0.3


def test_stays_within_a_factor_of_the_start() -> None:
    process = PriceProcess({"WILD": Asset(8.0, 1.0)}, Random(6))
    factors = []
    for _ in range(2_000):
        process.advance(86_400.0)
        factors.append(math.exp(process.displacements["WILD"]))
    assert max(factors) <= MAX_FACTOR
    assert min(factors) >= 1 / MAX_FACTOR
    assert max(factors) > MAX_FACTOR / 2, "the bound was never near, so this has shown nothing"


def test_does_not_move_without_time() -> None:
    process = PriceProcess(ASSETS, Random(7))
    process.advance(10.0)
    before = dict(process.displacements)
    process.advance(0.0)
    assert process.displacements == before


def test_a_mean_reverting_value_keeps_its_deviation_and_forgets_its_start() -> None:
    process = MeanReverting(Random(8), deviation=2.0, seconds=10.0, value=1_000.0)
    process.advance(200.0)
    values = [process.advance(5.0) for _ in range(5_000)]
    assert mean([v * v for v in values]) == pytest.approx(4.0, rel=0.1)
    assert correlation(values[:-1], values[1:]) == pytest.approx(math.exp(-0.5), abs=0.05)
