from pathlib import Path

import pytest

from tickwire.exchange.commands import CreateAccount, Deposit, Tick
from tickwire.exchange.instruments import MONEY_UNIT
from tickwire.service.rules import Rules, RulesError
from tickwire.service.settings import Settings

OWN = """
[[instrument]]
symbol = "LTCUSDT.PERP"
kind = "perpetual"
base = "LTC"
quote = "USDT"
tick_size = "0.01"
step = "0.001"
max_leverage = 25
init_margin_rate = "0.04"
maint_margin_rate = "0.02"
"""


def rules_with(directory: Path, text: str, **settings: object) -> Rules:
    (directory / "own.toml").write_text(text)
    return Rules.of(Settings(instruments=directory / "own.toml", **settings))  # type: ignore[arg-type]


def test_they_are_what_was_kept(tmp_path: Path) -> None:
    rules = rules_with(tmp_path, OWN, taker_fee="0.001", symbols="LTCUSDT.PERP,BTCUSDT")
    kept = Rules.decode(rules.encode())
    (tmp_path / "own.toml").unlink()
    assert kept == rules
    assert list(kept.load_instruments()) == ["BTCUSDT", "LTCUSDT.PERP"]
    assert kept.engine(None).settings.taker_fee_rate == 100_000


def test_every_instrument_is_open_unless_said_otherwise() -> None:
    rules = Rules.of(Settings())
    assert "BTCUSDT.PERP" in rules.symbols
    assert list(rules.load_instruments()) == rules.symbols
    assert Rules.of(Settings(symbols=" BTCUSDT , BTCUSDT.PERP,")).symbols == ["BTCUSDT.PERP", "BTCUSDT"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"symbols": "NONE"}, "--symbols: expected some of BTCUSDT.PERP, .*, got NONE"),
        ({"symbols": ","}, "--symbols: expected some of .*, got none"),
        ({"instruments": Path("no-such-file.toml")}, "--instruments: .*no-such-file.toml"),
    ],
)
def test_what_can_not_be_used_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(RulesError, match=message):
        Rules.of(Settings(**settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [b"", b"{}", b'{"settings":{},"instruments":["["],"symbols":[]}'])
def test_what_is_kept_but_no_rules_is_refused(data: bytes) -> None:
    with pytest.raises(RulesError, match="kept with the journal can't be"):
        Rules.decode(data).load_instruments()


def test_rules_of_a_later_version_may_say_more() -> None:
    kept = Rules.of(Settings()).encode().replace(b'{"settings":{', b'{"later":1,"settings":{"later":2,')
    assert Rules.decode(kept) == Rules.of(Settings())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('tick_size = "0.01"', 'tick_size = "0.1"'), "LTCUSDT.PERP: tick_size: expected 0.01, .*, got 0.1"),
        (('step = "0.001"', 'step = "0.002"'), "LTCUSDT.PERP: step: expected 0.001, .*, got 0.002"),
        (('kind = "perpetual"', 'kind = "spot"'), "LTCUSDT.PERP: kind"),
        (('base = "LTC"', 'base = "XLT"'), "LTCUSDT.PERP: base: expected LTC, .*, got XLT"),
        (
            ('"LTCUSDT.PERP"', '"XLTUSDT.PERP"'),
            "expected the instrument LTCUSDT.PERP, which this data directory trades",
        ),
    ],
)
def test_what_was_counted_must_mean_the_same(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    before = rules_with(tmp_path, OWN)
    after = rules_with(tmp_path, OWN.replace(*change))
    with pytest.raises(RulesError, match=message):
        after.check_follows(before)


def test_other_numbers_may_change(tmp_path: Path) -> None:
    before = rules_with(tmp_path, OWN)
    changed = OWN.replace('"0.04"', '"0.05"').replace("25", "20") + OWN.replace("LTC", "XLT")
    rules_with(tmp_path, changed, maker_fee="0.1").check_follows(before)


def test_a_state_goes_on_under_other_rules() -> None:
    engine = Rules.of(Settings()).engine(None)
    engine.apply(10**18, Tick())
    engine.apply(10**18, CreateAccount("alice"))
    engine.apply(10**18, Deposit("alice", "USDT", 5 * MONEY_UNIT))
    after = Rules.of(Settings(taker_fee="0.001")).engine(engine.dump())
    assert (after.sequence, after.accounts["alice"].wallets) == (3, {"USDT": 5 * MONEY_UNIT})
    assert after.settings.taker_fee_rate == 100_000
