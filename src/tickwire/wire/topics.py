"""The ten topics of the stream: their names, and what each name asks for."""

import enum
import re

import msgspec

from tickwire.wire.intervals import INTERVALS

__all__ = ["PRIVATE_KINDS", "SYMBOL_PATTERN", "Topic", "TopicError", "TopicKey", "TopicKind", "parse_topic"]

SYMBOL_PATTERN = r"^[A-Z0-9]+(\.[A-Z0-9]+)?$"
_SYMBOL = re.compile(r"[A-Z0-9]+(?:\.[A-Z0-9]+)?")


class TopicKind(enum.StrEnum):
    """A family of topics; the value is the name's fixed part."""

    TICKER = "ticker"
    KLINE = "kline"
    ORDERBOOK = "orderbook"
    ORDERBOOK_DELTA = "orderbook.delta"
    ACCOUNT = "account"
    MARGIN = "account.margin"
    BALANCE = "account.balance"
    POSITION = "account.position"
    ORDER = "account.order"
    EXECUTION = "account.execution"


PRIVATE_KINDS = frozenset(kind for kind in TopicKind if kind.value.startswith("account"))
_PRIVATE_BY_NAME = {kind.value: kind for kind in PRIVATE_KINDS}


class TopicError(ValueError):
    """A text that names no topic; the message says what was expected."""


class Topic(msgspec.Struct, frozen=True):
    """A parsed topic: ``name`` exactly as the client wrote it."""

    name: str
    kind: TopicKind
    symbol: str = ""
    interval: str = ""

    @property
    def private(self) -> bool:
        """Whether the topic shows the key's own account only."""
        return self.kind in PRIVATE_KINDS


class TopicKey(msgspec.Struct, frozen=True):
    """A topic as seen by one account; market topics are the same for all and have no account."""

    topic: Topic
    account: str = ""

    @classmethod
    def of(cls, topic: Topic, account: str) -> "TopicKey":
        """The key under which ``account`` sees ``topic``."""
        return cls(topic, account if topic.private else "")


def parse_topic(name: str) -> Topic:
    """Read a topic name. Whether the symbol exists is for the exchange to say.

    Raises ``TopicError`` for an unknown family, a malformed symbol or an unknown interval.
    """
    private = _PRIVATE_BY_NAME.get(name)
    if private is not None:
        return Topic(name, private)
    family, dot, rest = name.partition(".")
    if not dot:
        raise TopicError(f"expected a topic such as ticker.BTCUSDT.PERP, got {name[:80]!r}")
    if family == "ticker":
        return Topic(name, TopicKind.TICKER, _symbol(rest))
    if family == "orderbook":
        # A symbol is upper case, so "delta." can never be the start of one.
        if rest.startswith("delta."):
            return Topic(name, TopicKind.ORDERBOOK_DELTA, _symbol(rest[len("delta.") :]))
        return Topic(name, TopicKind.ORDERBOOK, _symbol(rest))
    if family == "kline":
        interval, _, symbol = rest.partition(".")
        if interval not in INTERVALS:
            raise TopicError(f"expected an interval of {' '.join(INTERVALS)}, got {interval[:20]!r}")
        return Topic(name, TopicKind.KLINE, _symbol(symbol), interval)
    raise TopicError(f"expected one of {', '.join(TopicKind)}, got {name[:80]!r}")


def _symbol(text: str) -> str:
    if _SYMBOL.fullmatch(text) is None:
        raise TopicError(f"expected a symbol such as BTCUSDT.PERP, got {text[:40]!r}")
    return text
