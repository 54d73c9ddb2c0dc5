"""The desk of one symbol: its market makers and its arbitrageur, who quote in rounds."""

import math
from random import Random

from tickwire.market.makers import DeepMaker, TightMaker
from tickwire.market.participants import Arbitrageur
from tickwire.market.view import MarketView
from tickwire.wire.intervals import SECOND

__all__ = ["Desk"]

# What the desk holds moves its quotes by at most this share of the slippage bound; by half of that when it holds
# as much as the profile's depth a side.
MAX_SKEW = 0.5
# It hedges elsewhere in time: most of what it has held for a while no longer counts, so the impact of a trade decays.
HEDGE_SECONDS = 45.0
HEDGED_SHARE = 0.75

# Seconds between rounds: at least, and on average on top of it. A fast price needs more of them.
LEAST_PAUSE = 0.05
FAST_PAUSE, SLOW_PAUSE = 0.15, 0.35
FAST_TICKS = 5.0  # a second
# No round is later than this many average pauses: a book that was swept is to be full again soon.
LONGEST_PAUSE = 3.0


class Desk:
    """Quotes around fair value, which it moves against what it holds, so that the others trade that away."""

    def __init__(
        self, view: MarketView, tight: TightMaker, deep: DeepMaker, arbitrageur: Arbitrageur, random: Random
    ) -> None:
        self.view = view
        self._tight = tight
        self._deep = deep
        self._arbitrageur = arbitrageur
        self._random = random
        self._time = view.time
        self._hedged = self.exposure()
        self._pause = FAST_PAUSE if view.tick_speed > FAST_TICKS else SLOW_PAUSE

    def act(self) -> float:
        """One round; returns the seconds until the next."""
        view = self.view
        exposure = self.exposure()
        self._hedged += (exposure - self._hedged) * -math.expm1(-(view.time - self._time) / SECOND / HEDGE_SECONDS)
        self._time = view.time
        load = (exposure - HEDGED_SHARE * self._hedged) / view.profile.depth_notional
        view.push = 1.0 - MAX_SKEW * view.slippage * load / (1.0 + abs(load))
        view.center = view.fair * view.push
        # First all that is stale goes, then what others have left in the way is taken, then the gaps are filled.
        self._tight.withdraw()
        self._deep.withdraw()
        self._arbitrageur.clear()
        self._tight.quote()
        self._deep.quote()
        haste = min(2.0, max(0.7, view.ratio))
        return LEAST_PAUSE + self._pause * min(LONGEST_PAUSE, self._random.expovariate(haste))

    def exposure(self) -> float:
        """What all of the desk hold together, in the quote currency, signed."""
        return sum(member.exposure() for member in (self._tight, self._deep, self._arbitrageur))
