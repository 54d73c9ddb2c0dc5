"""Every setting of the server: one typed definition.

A value comes from the first of: the flag, the environment (``TICKWIRE_`` and the flag's name), the TOML file given with
``--config``, the default here. The command line, ``tickwire config`` and the reference page are made from this class.
"""

import dataclasses
import difflib
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

from tickwire.exchange.instruments import RATE_PLACES
from tickwire.exchange.projection import ProjectionSettings
from tickwire.exchange.settings import EngineSettings
from tickwire.journal.pruning import Retention
from tickwire.service.logs import LogFormat, LogLevel
from tickwire.stream.settings import HELD_BYTES, StreamLimits, StreamSettings
from tickwire.wire.decimals import DecimalError, parse_decimal
from tickwire.wire.intervals import DAY, SECOND

__all__ = ["SettingHelp", "Settings", "SettingsError", "describe", "flag", "unknown_variables"]

MILLISECOND = 1_000_000
MIN_MESSAGE_BYTES = 125  # what a control frame may hold, and about what one operation needs

SERVER = Group.create_ordered("Server")
MARKET = Group.create_ordered("Market")
RULES = Group.create_ordered("Rules of the exchange")
CONTRACT = Group.create_ordered("Choices of the contract")
LIMITS = Group.create_ordered("Limits")
TIMES = Group.create_ordered("Times, in seconds")


class SettingsError(ValueError):
    """A setting with a value that can't be used; the message names it."""


def _setting(group: Group, help: str, **more: Any) -> Any:
    return Parameter(group=group, help=help, **more)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an operator can choose."""

    host: Annotated[str, _setting(SERVER, "Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1"
    port: Annotated[int, _setting(SERVER, "Port of REST and stream; 0 takes a free one.")] = 8080
    data: Annotated[Path, _setting(SERVER, "Directory that holds the exchange's state; made at first use.")] = Path(
        "tickwire-data"
    )
    tls_cert: Annotated[
        Path | None, _setting(SERVER, "PEM file with the certificate and its chain: REST as https, the stream as wss.")
    ] = None
    tls_key: Annotated[Path | None, _setting(SERVER, "PEM file with its private key, without a passphrase.")] = None
    durability: Annotated[
        Literal["process", "power", "none"],
        _setting(
            SERVER,
            "What survives: a killed process (process), a power cut too (power: an fsync a commit), or neither (none).",
        ),
    ] = "process"
    log_level: Annotated[
        LogLevel, _setting(SERVER, "What the log on stderr tells: info has a line for each stream that ends.")
    ] = "warning"
    log_format: Annotated[LogFormat, _setting(SERVER, "Log lines to read (text) or to collect (json).")] = "text"
    demo_key: Annotated[str | None, _setting(SERVER, "Key of the demo account; made at first start if absent.")] = None
    demo_secret: Annotated[str | None, _setting(SERVER, "Secret of the demo key.")] = None
    metrics_token: Annotated[
        str | None, _setting(SERVER, "Token that opens /_tickwire/metrics to other machines; absent: closed to them.")
    ] = None
    snapshot_every: Annotated[
        int, _setting(SERVER, "Commands between two snapshots: fewer start faster after a crash.")
    ] = 25_000
    journal_retention: Annotated[
        int, _setting(SERVER, "Commands kept, with snapshots, before those a restart needs: for tickwire verify.")
    ] = 0
    history_days: Annotated[int, _setting(SERVER, "Days that the history of orders and executions goes back.")] = 90

    market: Annotated[bool, _setting(MARKET, "Run the simulated venues and participants.")] = True
    seed: Annotated[int, _setting(MARKET, "Seed of the simulated market.")] = 1
    symbols: Annotated[
        str | None, _setting(MARKET, "Comma-separated symbols to open, such as BTCUSDT.PERP,BTCUSDT; absent: all.")
    ] = None
    instruments: Annotated[
        Path | None, _setting(MARKET, "TOML file with [[instrument]] tables that adds to or replaces the defaults.")
    ] = None

    initial_balance: Annotated[str, _setting(RULES, "USDT a new account starts with.")] = "100000"
    maker_fee: Annotated[str, _setting(RULES, "Fee rate of resting orders.")] = "0.0002"
    taker_fee: Annotated[str, _setting(RULES, "Fee rate of taking orders.")] = "0.0006"
    default_leverage: Annotated[int, _setting(RULES, "Leverage before the client sets one.")] = 10
    max_open_orders: Annotated[int, _setting(RULES, "Open orders an account may have.")] = 1_000
    margin_base: Annotated[Literal["entry", "mark"], _setting(RULES, "Price base of isolated maintenance margin.")] = (
        "entry"
    )
    available_unrealized: Annotated[
        Literal["full", "min"],
        _setting(RULES, "Whether availableBalance counts cross profits (full) or only losses (min)."),
    ] = "full"
    index_stop_seconds: Annotated[
        int, _setting(RULES, "How long a jump of over 25 % stops the index; 0: until the prices are back.")
    ] = 60
    insurance_fund: Annotated[str, _setting(RULES, "USDT the insurance fund starts with.")] = "1000000"
    candle_retention: Annotated[int, _setting(RULES, "Closed candles kept a symbol and interval.")] = 2_000

    ticker_rows: Annotated[
        Literal["partial", "full"], _setting(CONTRACT, "UPDATE rows of ticker: what changed, or the whole row.")
    ] = "partial"
    orderbook_mode: Annotated[
        Literal["snapshot", "delta"], _setting(CONTRACT, "What orderbook.{symbol} sends: whole books, or deltas.")
    ] = "snapshot"
    orderbook_depth: Annotated[int, _setting(CONTRACT, "Levels a side of orderbook.{symbol}.")] = 50
    orderbook_interval_ms: Annotated[int, _setting(CONTRACT, "Least time between two books of a symbol, in ms.")] = 20
    account_interval_ms: Annotated[
        int, _setting(CONTRACT, "Least time between two account pushes that only the mark price causes, in ms.")
    ] = 1_000
    open_orders: Annotated[
        Literal["bare", "wrapped"], _setting(CONTRACT, "GET /trade/order: an array, or an object with orders.")
    ] = "bare"
    position_amount: Annotated[
        Literal["base", "quote"], _setting(CONTRACT, "positionAmount: size in base, or notional in quote.")
    ] = "base"

    limits: Annotated[bool, _setting(LIMITS, "Apply rate limits; --no-limits turns all of them off.")] = True
    requests_per_second: Annotated[int, _setting(LIMITS, "REST requests a second a key.")] = 100
    upgrades_per_minute: Annotated[int, _setting(LIMITS, "Stream handshakes a minute an address.")] = 20
    upgrade_burst: Annotated[int, _setting(LIMITS, "Stream handshakes an address may make at once.")] = 100
    sockets_per_key: Annotated[int, _setting(LIMITS, "Open streams a key.")] = 100
    sockets_per_address: Annotated[int, _setting(LIMITS, "Open streams an address.")] = 1_000
    connections: Annotated[int, _setting(LIMITS, "Open connections, streams and HTTP, of all clients together.")] = (
        10_000
    )
    topics_per_socket: Annotated[int, _setting(LIMITS, "Topics a stream.")] = 1_000
    topics_per_frame: Annotated[int, _setting(LIMITS, "Topics an operation frame.")] = 50
    operations_per_second: Annotated[int, _setting(LIMITS, "Operations a second a stream.")] = 50
    bad_frames_per_minute: Annotated[int, _setting(LIMITS, "Frames a minute a stream that can't be read.")] = 100
    message_bytes: Annotated[int, _setting(LIMITS, "Size of a client's message; --no-limits leaves it.")] = 65_536
    backlog_mb: Annotated[int, _setting(LIMITS, "MiB that may wait for slow readers, of all streams together.")] = 512

    request_timeout: Annotated[
        float, _setting(TIMES, "For a request, or the handshake of a stream, to arrive; slower connections are closed.")
    ] = 10.0
    ping_interval: Annotated[float, _setting(TIMES, "Between two pings of the server on a stream.")] = 20.0
    silence_timeout: Annotated[float, _setting(TIMES, "A stream whose peer sends nothing for this long is closed.")] = (
        60.0
    )
    stall_timeout: Annotated[float, _setting(TIMES, "A stream whose peer takes nothing for this long is closed.")] = (
        30.0
    )

    resume_frames: Annotated[int, _setting(LIMITS, "Newest frames of a topic kept for streams that resume.")] = 2_000
    resume_bytes: Annotated[int, _setting(LIMITS, "The same in bytes a topic, at most 1 MiB.")] = 524_288
    resume_seconds: Annotated[
        int, _setting(LIMITS, "How long they are kept when the last stream that may resume the topic has gone.")
    ] = 60

    def __post_init__(self) -> None:
        for name in (
            "snapshot_every", "history_days", "default_leverage", "max_open_orders", "candle_retention",
            "orderbook_depth", "orderbook_interval_ms", "account_interval_ms", "requests_per_second",
            "upgrades_per_minute", "upgrade_burst", "sockets_per_key", "topics_per_socket", "topics_per_frame",
            "operations_per_second", "sockets_per_address", "connections", "bad_frames_per_minute", "backlog_mb",
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise SettingsError(f"{flag(name)}: expected at least 1, got {getattr(self, name)}")
        if self.journal_retention < 0:
            raise SettingsError(f"--journal-retention: expected at least 0, got {self.journal_retention}")
        for name in ("index_stop_seconds", "resume_frames", "resume_bytes", "resume_seconds"):
            if getattr(self, name) < 0:
                raise SettingsError(f"{flag(name)}: expected at least 0, got {getattr(self, name)}")
        if self.resume_bytes > HELD_BYTES:
            raise SettingsError(f"--resume-bytes: expected at most {HELD_BYTES}, got {self.resume_bytes}")
        if self.message_bytes < MIN_MESSAGE_BYTES:
            raise SettingsError(f"--message-bytes: expected at least {MIN_MESSAGE_BYTES}, got {self.message_bytes}")
        for name in ("request_timeout", "ping_interval", "silence_timeout", "stall_timeout"):
            if not 0 < getattr(self, name) < float("inf"):
                raise SettingsError(f"{flag(name)}: expected seconds above 0, got {getattr(self, name)}")
        if self.ping_interval >= self.silence_timeout:
            raise SettingsError(
                f"--ping-interval: expected less than --silence-timeout ({self.silence_timeout}), got "
                f"{self.ping_interval}: a peer that only listens is silent between two pings"
            )
        if not 0 <= self.port <= 65_535:
            raise SettingsError(f"--port: expected 0 to 65535, got {self.port}")
        if (self.demo_key is None) != (self.demo_secret is None):
            raise SettingsError("--demo-key: expected together with --demo-secret")
        if (self.tls_cert is None) != (self.tls_key is None):
            given, missing = ("--tls-cert", "--tls-key") if self.tls_key is None else ("--tls-key", "--tls-cert")
            raise SettingsError(f"{given}: expected together with {missing}")
        self.engine_settings()
        self.initial_deposit()

    def engine_settings(self) -> EngineSettings:
        """The rules for the engine. Raises ``SettingsError``."""
        return EngineSettings(
            maker_fee_rate=_decimal("maker_fee", self.maker_fee, RATE_PLACES),
            taker_fee_rate=_decimal("taker_fee", self.taker_fee, RATE_PLACES),
            default_leverage=self.default_leverage,
            max_open_orders=self.max_open_orders,
            candle_retention=self.candle_retention,
            insurance_fund=_decimal("insurance_fund", self.insurance_fund, 8),
            position_amount=self.position_amount,
            available_unrealized=self.available_unrealized,
            margin_base=self.margin_base,
            index_stop=self.index_stop_seconds * SECOND,
        )

    def retention(self) -> Retention:
        """How much the journal keeps."""
        return Retention(commands=self.journal_retention, history=self.history_days * DAY)

    def initial_deposit(self) -> int:
        """Money (10**-8) a new account starts with. Raises ``SettingsError``."""
        return _decimal("initial_balance", self.initial_balance, 8)

    def stream_settings(self) -> StreamSettings:
        """The choices for the stream's sockets."""
        return StreamSettings(
            limits=self._stream_limits(),
            message_bytes=self.message_bytes,
            request_timeout=self.request_timeout,
            ping_interval=self.ping_interval,
            silence_timeout=self.silence_timeout,
            stall_timeout=self.stall_timeout,
            resume_frames=self.resume_frames,
            resume_bytes=self.resume_bytes,
            resume_seconds=self.resume_seconds,
        )

    def _stream_limits(self) -> StreamLimits:
        if not self.limits:
            return StreamLimits.unlimited()
        return StreamLimits(
            upgrades_per_minute=self.upgrades_per_minute,
            upgrade_burst=self.upgrade_burst,
            sockets_per_key=self.sockets_per_key,
            topics_per_socket=self.topics_per_socket,
            topics_per_frame=self.topics_per_frame,
            operations_per_second=self.operations_per_second,
            sockets_per_address=self.sockets_per_address,
            connections=self.connections,
            bad_frames_per_minute=self.bad_frames_per_minute,
            backlog_bytes=self.backlog_mb * 1024 * 1024,
        )

    def projection_settings(self) -> ProjectionSettings:
        """The choices for the stream's frames."""
        return ProjectionSettings(
            ticker_rows=self.ticker_rows,
            orderbook_mode=self.orderbook_mode,
            orderbook_depth=self.orderbook_depth,
            orderbook_interval=self.orderbook_interval_ms * MILLISECOND,
            account_interval=self.account_interval_ms * MILLISECOND,
        )


def flag(name: str) -> str:
    """The command-line flag of a setting."""
    return "--" + name.replace("_", "-")


def _decimal(name: str, text: str, places: int) -> int:
    try:
        value = parse_decimal(text, places)
    except DecimalError as error:
        raise SettingsError(f"{flag(name)}: {error}") from None
    if value < 0:
        raise SettingsError(f"{flag(name)}: expected at least zero, got {text}")
    return value


@dataclass(frozen=True)
class SettingHelp:
    """One setting as the reference page shows it."""

    name: str
    flag: str
    type: str
    default: object
    group: str
    help: str


def describe() -> list[SettingHelp]:
    """Every setting, in the order of the class: for ``tickwire config`` and the reference page."""
    hints = typing.get_type_hints(Settings, include_extras=True)
    found = []
    for field in dataclasses.fields(Settings):
        kind, parameter = typing.get_args(hints[field.name])[:2]
        found.append(
            SettingHelp(
                field.name, flag(field.name), _type_name(kind), field.default, parameter.group[0].name, parameter.help
            )
        )
    return found


def _type_name(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return " or ".join(str(choice) for choice in typing.get_args(kind))
    members = [member for member in typing.get_args(kind) if member is not type(None)] or [kind]
    return {str: "text", int: "integer", float: "number", bool: "true or false", Path: "path"}[members[0]]


# Variables of that prefix that are no settings: of the command line, of clients, of the benchmarks and tests.
_OTHER_VARIABLES = ("API_KEY", "API_SECRET", "BENCH_HOURS", "CONFIG", "FAULT_SEED", "JSON", "REPAIR", "URL")


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """A sentence for each ``TICKWIRE_*`` variable that is nobody's, with the name that it is nearest to."""
    prefix = "TICKWIRE_"
    known = [field.name.upper() for field in dataclasses.fields(Settings)] + list(_OTHER_VARIABLES)
    sentences = []
    for variable in sorted(environment):
        name = variable.removeprefix(prefix)
        if variable.startswith(prefix) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            advice = f"did you mean {prefix}{near[0]}?" if near else "tickwire config lists the settings"
            sentences.append(f"{variable} in the environment is no setting and is ignored; {advice}")
    return sentences
