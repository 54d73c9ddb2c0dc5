"""The pages of errors, close codes, settings and instruments."""

import importlib.resources
from itertools import groupby

import msgspec

from tickwire.exchange.instrument_file import InstrumentFile, MarketProfile, TierFile
from tickwire.exchange.instruments import (
    MONEY_UNIT,
    RATE_PLACES,
    Instrument,
    load_instruments,
)
from tickwire.exchange.settings import EngineSettings
from tickwire.exchange.state import State
from tickwire.metrics import LATENCY_BOUNDS
from tickwire.service.metrics import METRICS
from tickwire.service.reference.markdown import code, schemas_of, table, ticked, toml, type_text
from tickwire.service.reference.topics import topic_refusal
from tickwire.service.settings import SettingHelp, describe
from tickwire.wire.closes import CLOSES
from tickwire.wire.decimals import format_decimal
from tickwire.wire.errors import BARE_CODES, ERRORS, ApiError

__all__ = ["close_codes_page", "errors_page", "instruments_page", "metrics_page", "settings_page"]


def errors_page() -> str:
    """Every error code."""
    by_status: dict[int, list[list[str]]] = {}
    for entry in ERRORS.values():
        by_status.setdefault(entry.status, []).append([f"`{entry.code}`", entry.reason, entry.advice])
    refusal = ApiError("InvalidParameter", "price: expected a decimal such as \"12.5\", got '1e3'")
    text = (
        "# Errors\n\nA refusal changes nothing. Over REST the code is in the body and in the header"
        " `x-prex-error-type`:\n\n"
        + code(refusal.body().decode(), "json")
        + f"\nThe body of {ticked(sorted(BARE_CODES))} holds the code alone. On the stream the code is in a reply:\n\n"
        + code(topic_refusal("kline.7.BTCUSDT.PERP"), "json")
    )
    for status, body in sorted(by_status.items()):
        text += f"\n## {status}\n\n" + table(["code", "meaning", "what to do"], body)
    return text + (
        "\nA path under `/api/v1` that does not exist is answered with 403, `text/plain`, `Invalid Origin`, without a"
        " code.\n"
    )


def close_codes_page() -> str:
    """Every reason to close a stream."""
    body = [
        [str(entry.code), f"`{entry.reason}`", "yes" if entry.reconnect else "no", entry.advice]
        for entry in CLOSES.values()
    ]
    return (
        "# Close codes of the stream\n\nWhat the server puts into its close frame. Several reasons share a code:"
        " read the"
        " reason too.\n\n"
        + table(["code", "reason", "reconnect", "what to do"], body)
        + "\nBeside these come the codes that RFC 6455 demands: what the client closes with is sent back, 1002"
        " answers a"
        " breach of the protocol, 1007 text that is not UTF-8.\n"
    )


def settings_page() -> str:
    """Every setting."""
    text = (
        "# Settings\n\nOf `tickwire serve`. A value comes from the first of: the flag, the environment, the TOML"
        " file named"
        " by `--config` (or `TICKWIRE_CONFIG`), the default. `tickwire config` prints the values that result, in the"
        " form"
        " of such a file.\n"
    )
    for group, settings in groupby(describe(), lambda setting: setting.group):
        body = [_setting_row(setting) for setting in settings]
        text += f"\n## {group}\n\n" + table(["flag", "environment", "TOML", "default", "meaning"], body)
    return text


def _setting_row(setting: SettingHelp) -> list[str]:
    switch = isinstance(setting.default, bool)
    choices = setting.type.split(" or ")
    return [
        f"`{setting.flag}` `--no-{setting.flag[2:]}`" if switch else f"`{setting.flag}`",
        f"`TICKWIRE_{setting.name.upper()}`",
        f"`{setting.name.replace('_', '-')}`",
        "" if setting.default is None else f"`{toml(setting.default)}`",
        setting.help if switch or len(choices) == 1 else f"{setting.help} One of {ticked(choices)}.",
    ]


def metrics_page() -> str:
    """Every metric."""
    body = [
        [
            f"`{metric.name}`",
            f"{metric.type}, {metric.unit}" if metric.unit else metric.type,
            ticked(metric.labels),
            metric.help,
        ]
        for metric in METRICS
    ]
    bounds = ", ".join(f"{bound:g}" for bound in LATENCY_BOUNDS)
    return (
        "# Metrics\n\nWhat `GET /_tickwire/metrics` shows, in the text format of Prometheus. [Watch over a server]"
        "(../how-to/watch-over-a-server.md) says how to collect them, and what to be woken for.\n\n"
        + table(["metric", "kind, unit", "labels", "meaning"], body)
        + f"\nHistograms of seconds have buckets up to {bounds}. A label's value appears when something is counted"
        " under it"
        " for the first time. Counters begin at zero with each start of the server.\n"
    )


# A field without a meaning here makes the page fail.
_INSTRUMENT_MEANINGS = {
    "symbol": "Letters and digits, with at most one dot.",
    "kind": "",
    "base": "What is traded.",
    "quote": "What it is priced in, and where profits and fees go. A perpetual settles in USDT, the one collateral.",
    "tick_size": "Prices are multiples of it.",
    "step": "Quantities are multiples of it. Tick size and step have at most 8 decimals together.",
    "min_notional": "Smallest order, in quote.",
    "max_notional": "Largest order, in quote.",
    "max_position": "Largest position with all open orders of its side, in quote; absent: unbounded.",
    "max_open_interest": "In base; absent: unbounded.",
    "max_leverage": "A perpetual needs it.",
    "init_margin_rate": "As a fraction of the notional. A perpetual needs it.",
    "maint_margin_rate": (
        "As a fraction of the notional. A perpetual needs it. The funding rate is capped at three quarters of it."
    ),
    "base_interest_rate": "The interest in the funding rate, per 8 hours.",
    "funding_interval_hours": "Counted from midnight UTC.",
    "max_slippage": (
        "How far from the opposite best price a MARKET or triggered order fills, as a fraction; twice that when"
        " closing."
    ),
    "impact_notional": "Size at which the book is measured for the funding premium, in quote.",
    "trading": "False: prices are shown, orders are refused with `ApiSymbolRestricted`.",
    "tier": "Maintenance margin of large positions (below); absent: one rate for all.",
    "market": "How the simulated market treats it, a table of its own (below); absent: nobody trades it but you.",
}
_MARKET_MEANINGS = {
    "start_price": "Price on an empty data directory.",
    "annual_volatility": "As a fraction: 0.6 is 60 % a year.",
    "beta": "Weight of the common factor that makes the symbols move together.",
    "trades_per_second": "Orders of the simulated takers.",
    "touch_notional": "What a tight maker shows near the best price, in quote.",
    "depth_notional": "What is in the book a side within the maximum slippage, in quote.",
    "spot_of": "The perpetual whose price this spot pair follows.",
}


_TIER_MEANINGS = {
    "from_notional": "Where the tier begins, in quote: above that of the tier before.",
    "maint_margin_rate": "Above the rate before. What a position has beyond `from_notional` is held to it.",
}
_INSTRUMENT_HEAD = (
    "symbol", "kind", "tick", "step", "min order", "max order", "max position", "max leverage", "initial margin",
    "maintenance margin", "max slippage",
)  # fmt: skip


def instruments_page() -> str:
    """The default instruments, and the fields of an instrument file."""
    source = importlib.resources.files("tickwire.exchange").joinpath("instruments.toml").read_text("utf-8")
    instruments = load_instruments(source).values()
    hours = " or ".join(sorted({str(i.funding_interval_hours) for i in instruments if i.perpetual}))
    first = source[source.index("[[instrument]]") :].partition("\n\n")[0]
    return (
        "# Instruments\n\nWhat a server trades when nothing else is said. `--symbols` opens some of them only;"
        " `--instruments FILE` adds to them or replaces one of the same symbol.\n\n"
        + table(_INSTRUMENT_HEAD, [_instrument_row(instrument) for instrument in instruments])
        + f"\nOrders and positions in quote money. Funding of the perpetuals: every {hours} hours from midnight UTC.\n"
        "\n## The file\n\nTOML, one `[[instrument]]` table for each. Decimals are texts, so that no float comes"
        " between the"
        " file and the exchange. An unknown field is refused.\n\n"
        + code(first, "toml")
        + "\n"
        + _toml_fields(InstrumentFile, _INSTRUMENT_MEANINGS)
        + "\n### `market`\n\n"
        + _toml_fields(MarketProfile, _MARKET_MEANINGS)
        + "\n### `tier`\n\nTables `[[instrument.tier]]` behind the instrument's own fields.\n\n"
        + _toml_fields(TierFile, _TIER_MEANINGS)
        + "\n## Fee levels\n\nAn account has the highest level of which it meets one condition: what it traded in"
        " the last 30 closed"
        " UTC days, or its USDT balance when a day begins. Level 0 is set by `--maker-fee` and `--taker-fee`; no"
        " level is"
        " dearer than it.\n\n" + table(["level", "volume", "balance", "maker", "taker"], _fee_level_rows())
    )


def _fee_level_rows() -> list[list[str]]:
    return [
        [
            str(level),
            f"{entry.required_volume // MONEY_UNIT:,}",
            f"{entry.required_balance // MONEY_UNIT:,}",
            _percent(entry.maker_rate),
            _percent(entry.taker_rate),
        ]
        for level, entry in enumerate(State({}, EngineSettings()).fee_levels)
    ]


def _percent(rate: int) -> str:
    return f"{format_decimal(rate, RATE_PLACES - 2)} %"


def _instrument_row(instrument: Instrument) -> list[str]:
    def money(value: int | None) -> str:
        return "" if value is None else f"{value // MONEY_UNIT:,}"

    perpetual = instrument.perpetual
    return [
        f"`{instrument.symbol}`",
        "perpetual" if perpetual else "spot",
        format_decimal(instrument.price_value, instrument.price_places),
        instrument.quantity_text(1),
        money(instrument.min_notional),
        money(instrument.max_notional),
        money(instrument.max_position),
        f"{instrument.max_leverage}x" if perpetual else "",
        _percent(instrument.init_margin_rate) if perpetual else "",
        _percent(instrument.maint_margin_rate) if perpetual else "",
        _percent(instrument.max_slippage),
    ]


def _toml_fields(struct: type[msgspec.Struct], meanings: dict[str, str]) -> str:
    schema = schemas_of([struct])[1][struct.__name__]
    body = []
    for name, field in schema["properties"].items():
        kind = next(kind for kind in field.get("anyOf", [field]) if kind.get("type") != "null")
        text = "table" if "$ref" in kind else "tables" if kind.get("type") == "array" else type_text(kind)
        default = "" if field.get("default") in (None, "", []) else f"`{toml(field['default'])}`"
        body.append([f"`{name}`", text, "required" if name in schema["required"] else default, meanings[name]])
    return table(["field", "type", "default", "meaning"], body)
