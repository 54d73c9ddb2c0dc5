"""The rules of a run: what decides beside the state what a command does. They are kept with the journal.

Fees, leverage and instruments are settings, which another start may give other values. A command that was made under
the old ones is replayed under the old ones, or a restart would change balances that clients have seen.
"""

import importlib.resources

import msgspec

from tickwire import __version__
from tickwire.exchange.engine import Engine
from tickwire.exchange.instruments import Instrument, InstrumentError, load_instruments
from tickwire.exchange.settings import EngineSettings
from tickwire.service.settings import Settings

__all__ = ["Rules", "RulesError"]


class RulesError(ValueError):
    """The rules can't be used, or not on this data directory; the message says why."""


class Rules(msgspec.Struct, frozen=True):
    """Settings of the engine, instrument files as texts, the symbols of them that are open, and whose code it was."""

    settings: EngineSettings
    instruments: list[str]
    symbols: list[str]
    version: str = __version__

    @classmethod
    def of(cls, settings: Settings) -> "Rules":
        """The default instruments with what the settings add, replace or leave out. Raises ``RulesError``."""
        texts = [importlib.resources.files("tickwire.exchange").joinpath("instruments.toml").read_text("utf-8")]
        try:
            if settings.instruments is not None:
                texts.append(settings.instruments.read_text("utf-8"))
            symbols = list(load_instruments(*texts))
        except (OSError, UnicodeError, InstrumentError) as error:
            raise RulesError(f"--instruments: {error}") from None
        if settings.symbols is not None:
            wanted = [symbol.strip() for symbol in settings.symbols.split(",") if symbol.strip()]
            unknown = [symbol for symbol in wanted if symbol not in symbols]
            if unknown or not wanted:
                raise RulesError(
                    f"--symbols: expected some of {', '.join(symbols)}, got {', '.join(unknown) or 'none'}"
                )
            symbols = [symbol for symbol in symbols if symbol in wanted]
        return cls(settings.engine_settings(), texts, symbols)

    @classmethod
    def decode(cls, data: bytes) -> "Rules":
        """The rules as ``encode`` gave them. Raises ``RulesError``."""
        try:
            return msgspec.json.decode(data, type=cls)
        except msgspec.MsgspecError as error:
            raise RulesError(f"the rules kept with the journal can't be read: {error}") from None

    def encode(self) -> bytes:
        """The rules as bytes."""
        return msgspec.json.encode(self)

    def load_instruments(self) -> dict[str, Instrument]:
        """The instruments that are open. Raises ``RulesError``."""
        try:
            found = load_instruments(*self.instruments)
        except InstrumentError as error:
            raise RulesError(f"the instruments kept with the journal can't be used: {error}") from None
        return {symbol: found[symbol] for symbol in self.symbols}

    def engine(self, state: bytes | None) -> Engine:
        """An engine under these rules, new or from its state. Raises ``RulesError`` and ``SnapshotError``."""
        if state is None:
            return Engine(self.load_instruments(), self.settings)
        return Engine.load(self.load_instruments(), self.settings, state)

    def check_follows(self, before: "Rules") -> None:
        """Raise ``RulesError`` where what was counted under other rules would mean something else under these."""
        instruments = self.load_instruments()
        for symbol, old in before.load_instruments().items():
            new = instruments.get(symbol)
            if new is None:
                raise RulesError(f"expected the instrument {symbol}, which this data directory trades, got none of it")
            for name, one, other in (
                ("kind", old.perpetual, new.perpetual),
                ("base", old.base, new.base),
                ("quote", old.quote, new.quote),
                ("tick_size", old.price_text(1), new.price_text(1)),
                ("step", old.quantity_text(1), new.quantity_text(1)),
            ):
                if one != other:
                    raise RulesError(
                        f"{symbol}: {name}: expected {one}, which this data directory counts in, got {other}"
                    )
