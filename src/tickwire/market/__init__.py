"""Seeded simulated venues and participants that keep the book alive; they send commands like any trader.

``simulation`` drives everything live, ``history`` makes the candles from before the first start; both take their prices
from ``process``. Nothing here reads a clock or does I/O, and nothing in the exchange knows of it: what it learns of its
fills it sees in the engine's state, as a trader sees it in an account.
"""
