"""The price process: what the simulated assets are worth, for any step of time.

One common factor moves all assets, each has a part of its own besides. Every such *source* of moves is Gaussian under
a volatility that itself wanders on several time scales (so it clusters, from seconds to days), with rare jumps on top;
both make the tails fat. A step may have any length: scales much shorter than the step average out of it, as they do in
the real thing, so one class makes the day candles of twenty years and the sub-second moves of the live market. The
process has no drift and is the same in both directions of time, so the past is made backwards from the present.

Prices are floats here: they are opinions of participants, and become integers where an order is made of them.
"""

import math
from collections.abc import Mapping
from random import Random

import msgspec

__all__ = ["MAX_FACTOR", "Asset", "MeanReverting", "PriceProcess"]

YEAR_SECONDS = 365 * 86_400.0

# The annual volatility of the common factor. With the default profiles two assets then correlate by 0.4 to 0.8.
COMMON_VOLATILITY = 0.42
# However large a profile's beta, this much of an asset's variance at most is the common factor's.
MAX_COMMON_SHARE = 0.85

# Time scales of log-volatility: relaxation time in seconds, standard deviation. The shortest makes moves come in
# bursts rather than evenly, the others make quiet and busy minutes, hours and days.
COMMON_SCALES = ((4.0, 0.60), (240.0, 0.30), (10_800.0, 0.40), (259_200.0, 0.40))
OWN_SCALES = ((4.0, 0.60), (10_800.0, 0.40), (259_200.0, 0.30))
# A scale that explains less of a step's mean variance than this has averaged out of it.
NEGLIGIBLE = 0.01

JUMPS_PER_SECOND = 8 / 86_400.0
JUMP_SHARE = 0.08  # of a source's variance
# Laplace: the variance is twice the scale squared.
JUMP_SCALE = math.sqrt(JUMP_SHARE / (2 * JUMPS_PER_SECOND))
# Steps that hold more jumps than this see their sum, which is near to Gaussian: it joins the diffusion.
MANY_JUMPS = 0.5

# In twenty years a price stays within this factor of its start; log prices are reflected there.
MAX_FACTOR = 60
MAX_DISPLACEMENT = math.log(MAX_FACTOR)


class Asset(msgspec.Struct, frozen=True):
    """How one asset moves: annual volatility as a fraction, and its weight on the common factor."""

    volatility: float
    beta: float


class MeanReverting:
    """An Ornstein-Uhlenbeck value around zero: its long-run standard deviation, its relaxation time in seconds."""

    __slots__ = ("_deviation", "_random", "_seconds", "value")

    def __init__(self, random: Random, deviation: float, seconds: float, value: float = 0.0) -> None:
        self._random = random
        self._deviation = deviation
        self._seconds = seconds
        self.value = value

    def advance(self, seconds: float) -> float:
        """Let ``seconds`` pass; returns the new value."""
        decay = math.exp(-seconds / self._seconds)
        noise = self._deviation * math.sqrt(1.0 - decay * decay)
        self.value = self.value * decay + noise * self._random.gauss(0.0, 1.0)
        return self.value


class _Scale(msgspec.Struct):
    """What one time scale of log-volatility does in a step of one length."""

    index: int
    decay: float
    noise: float
    shrink: float  # its average over the step varies this much less than its value at an instant


class _Step(msgspec.Struct):
    """What all sources with the same scales do in a step of one length."""

    scales: list[_Scale]
    level: float  # added to log-volatility so that the mean variance is one
    diffusion: float  # standard deviation of the Gaussian part at mean volatility
    jump_chance: float

    @classmethod
    def of(cls, scales: tuple[tuple[float, float], ...], seconds: float) -> "_Step":
        kept: list[_Scale] = []
        level = 0.0
        for index, (relaxation, deviation) in enumerate(scales):
            ratio = seconds / relaxation
            # The variance of the time average of an Ornstein-Uhlenbeck value, relative to that of the value itself.
            share = 1.0 if ratio < 1e-4 else 2.0 / ratio * (1.0 + math.expm1(-ratio) / ratio)
            if share < NEGLIGIBLE:
                continue
            decay = math.exp(-ratio)
            noise = deviation * math.sqrt(-math.expm1(-2.0 * ratio))
            kept.append(_Scale(index, decay, noise, math.sqrt(share)))
            level -= deviation * deviation * share
        jumps = JUMPS_PER_SECOND * seconds
        gaussian = 1.0 if jumps > MANY_JUMPS else 1.0 - JUMP_SHARE
        return cls(kept, level, math.sqrt(gaussian * seconds), 0.0 if jumps > MANY_JUMPS else jumps)


class _Source:
    """One source of moves, in units of its standard deviation over one second."""

    __slots__ = ("_log_volatility", "_random", "deviation", "ratio")

    def __init__(self, random: Random, scales: tuple[tuple[float, float], ...]) -> None:
        self._random = random
        self._log_volatility = [random.gauss(0.0, deviation) for _, deviation in scales]
        self.ratio = 1.0  # the present volatility over its long-run root mean square
        self.deviation = 0.0  # standard deviation of the last step's Gaussian part

    def move(self, step: _Step) -> float:
        random = self._random
        values = self._log_volatility
        log_volatility = step.level
        for scale in step.scales:
            value = values[scale.index] * scale.decay + scale.noise * random.gauss(0.0, 1.0)
            values[scale.index] = value
            log_volatility += value * scale.shrink
        self.ratio = math.exp(log_volatility)
        self.deviation = self.ratio * step.diffusion
        move = self.deviation * random.gauss(0.0, 1.0)
        if step.jump_chance and random.random() < step.jump_chance:
            size = random.expovariate(1.0 / JUMP_SCALE)
            move += size if random.random() < 0.5 else -size
        return move


class PriceProcess:
    """Log prices of all assets, as displacements from where each started.

    Deterministic: the same random state and the same lengths of steps give the same prices.
    """

    def __init__(self, assets: Mapping[str, Asset], random: Random) -> None:
        self.random = random
        self.displacements: dict[str, float] = dict.fromkeys(assets, 0.0)
        # Of the last step: the standard deviation of each asset's Gaussian part, and its volatility over the usual.
        self.deviations: dict[str, float] = dict.fromkeys(assets, 0.0)
        self.ratios: dict[str, float] = dict.fromkeys(assets, 1.0)
        self._common = _Source(random, COMMON_SCALES)
        self._own: list[tuple[str, float, float, _Source]] = []
        for name, asset in assets.items():
            share = min(asset.beta * COMMON_VOLATILITY / asset.volatility, math.sqrt(MAX_COMMON_SHARE))
            per_second = asset.volatility / math.sqrt(YEAR_SECONDS)
            weights = share * per_second, math.sqrt(1.0 - share * share) * per_second
            self._own.append((name, *weights, _Source(random, OWN_SCALES)))
        self._seconds = -1.0
        self._common_step = self._own_step = _Step.of((), 1.0)

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` (0 or more) pass."""
        if seconds != self._seconds:
            self._seconds = seconds
            self._common_step = _Step.of(COMMON_SCALES, seconds)
            self._own_step = _Step.of(OWN_SCALES, seconds)
        common = self._common
        common_move = common.move(self._common_step)
        displacements = self.displacements
        for name, common_weight, own_weight, own in self._own:
            value = displacements[name] + common_weight * common_move + own_weight * own.move(self._own_step)
            if value > MAX_DISPLACEMENT:
                value = 2 * MAX_DISPLACEMENT - value
            elif value < -MAX_DISPLACEMENT:
                value = -2 * MAX_DISPLACEMENT - value
            displacements[name] = value
            self.deviations[name] = math.hypot(common_weight * common.deviation, own_weight * own.deviation)
            self.ratios[name] = math.hypot(common_weight * common.ratio, own_weight * own.ratio) / math.hypot(
                common_weight, own_weight
            )
