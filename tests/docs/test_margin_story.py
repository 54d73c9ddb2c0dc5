"""The page on margin: its story is played on an engine, and every number that it shows is compared."""

import ast
import operator
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.exchange.world import BTC, SELL, START, World, amount_text

from tickwire.exchange import views
from tickwire.exchange.commands import CancelAll
from tickwire.exchange.events import Events
from tickwire.exchange.instrument_file import InstrumentFile
from tickwire.exchange.state import INSURANCE
from tickwire.service.settings import describe
from tickwire.wire.intervals import HOUR

PAGE = (Path(__file__).parents[2] / "docs" / "explanation" / "margin.md").read_text()
Numbers = dict[str, str | None]


def tables() -> list[list[list[str]]]:
    """The tables of the page: rows of cells, the titles first."""
    found = re.findall(r"(?:^\|.*\|\n)+", PAGE, re.MULTILINE)
    return [
        [
            [cell.strip() for cell in line.split("|")[1:-1]]
            for line in table.splitlines()
            if not line.startswith("| ---")
        ]
        for table in found
    ]


def table(*titles: str) -> list[list[str]]:
    """The rows of the one table whose titles begin like this."""
    ((_, *rows),) = [table for table in tables() if table[0][: len(titles)] == list(titles)]
    return rows


class Story:
    """Anna's account, and somebody who trades with her."""

    def __init__(self) -> None:
        self.world = World("boris", "quotes")
        self.world.open("anna", "10000")
        self.steps: dict[str, Numbers] = {}

    def mark(self, price: str, spread: int = 6000) -> None:
        """Move the mark to a price and hold it there: mid and last price stand at the index."""
        world = self.world
        world.do(CancelAll("quotes"))
        world.mark(price)
        ticks = world.market().instrument.parse_price("price", price)
        text = world.market().instrument.price_text
        world.buy("quotes", "0.1", text(ticks - spread))
        world.sell("quotes", "0.1", text(ticks + spread))
        for _ in range(30):
            world.wait()
        assert world.market().mark_price == ticks

    def tell(self, step: int, events: Events | None = None) -> None:
        """Note every number of the account, and of what the step has brought it."""
        engine = self.world.engine
        numbers: Numbers = {}
        for row in (
            *[event.execution for event in (events.executions if events else ()) if event.account == "anna"],
            views.account(engine, "anna"),
            views.margins(engine, "anna")[0],
            views.position(engine, "anna", BTC),  # last: the margin has an unrealizedPnl too, of all positions
        ):
            numbers |= msgspec.to_builtins(row)
        numbers["the fund's gain"] = amount_text(engine.insurance.wallets["USDT"] - engine.settings.insurance_fund)
        self.steps[str(step)] = numbers


@pytest.fixture(scope="module")
def story() -> Story:
    story = Story()
    world = story.world
    world.leverage("anna", 10, isolated=True)
    story.mark("75000")

    world.sell("boris", "0.1", "75000")
    story.tell(1, world.do(world.command("anna", 1, "0.1")))

    story.mark("76500")
    order = world.buy("anna", "0.05", "76000")
    assert order.status == "NEW"
    story.tell(2)

    story.tell(3, world.do(world.command("boris", SELL, "0.05", "76000")))
    assert order.status == "FILLED"

    world.add_margin("anna", "100")
    story.tell(4)
    story.mark("78000")
    story.tell(5)
    story.mark("74000")
    story.tell(6)

    events = world.wait(START + 8 * HOUR - world.time)
    assert world.market().prices.last_funding_rate == 10_000
    story.tell(7, events)

    story.mark("74000")
    world.buy("boris", "0.05", "74000")
    story.tell(8, world.do(world.command("anna", SELL, "0.05")))

    story.mark("67517.4", spread=2000)
    story.tell(9)
    assert world.size("anna") == "0.1"

    world.venues("67517.3")
    world.sell("house seller", "0.0001", "67517.3")
    events = world.do(world.command("house buyer", 1, "0.0001", "67517.3"))
    story.tell(10, events)
    (takeover,) = [event.order for event in events.executions if event.account == "anna" and event.order]
    assert takeover.order_cancel_reason == "LIQUIDATION"
    assert world.size(INSURANCE) == "0"
    return story


def test_the_story_has_the_steps_of_the_page(story: Story) -> None:
    assert [row[0] for row in table("step", "what happens")] == list(story.steps)


@pytest.mark.parametrize("first", ["`markPrice`", "`totalWalletBalance`"])
def test_each_number_of_position_and_account_is_the_engines(story: Story, first: str) -> None:
    ((titles, *rows),) = [found for found in tables() if found[0][:2] == ["step", first]]
    assert [row[0] for row in rows] == list(story.steps)
    for row in rows:
        numbers = story.steps[row[0]]
        assert row[1:] == [numbers[title.strip("`")] or "" for title in titles[1:]], f"step {row[0]}"


OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def exact(calculation: str) -> Fraction:
    """The value of a calculation, without a float coming near it."""

    def value(node: ast.expr) -> Fraction:
        if isinstance(node, ast.BinOp):
            result: Fraction = OPERATORS[type(node.op)](value(node.left), value(node.right))
            return result
        assert isinstance(node, ast.Constant)
        return Fraction(ast.get_source_segment(calculation, node) or "")

    return value(ast.parse(calculation, mode="eval").body)


def unit(field: str) -> Fraction:
    """What the engine rounds a number to."""
    return Fraction(
        1, {"liquidationPrice": 10, "lastPrice": 10}.get(field, 10**5 if field.endswith("Price") else 10**8)
    )


def test_each_calculation_gives_what_the_engine_has(story: Story) -> None:
    rows = table("step", "number", "calculation", "rounded", "result")
    assert {row[0] for row in rows} == set(story.steps)
    for step, name, calculation, rounded, result in rows:
        field = name.strip("`")
        assert story.steps[step][field] == result, (step, field)
        beyond = Fraction(result) - exact(calculation)
        if rounded:
            assert beyond, (step, field)
        error = {"": beyond, "up": beyond, "down": -beyond, "to the nearest": abs(2 * beyond)}[rounded]
        assert 0 <= error < (unit(field) if rounded else Fraction(1, 10**30)), (step, field, beyond)


def test_the_equity_before_the_end_is_one_unit_above_the_maintenance_margin(story: Story) -> None:
    (said,) = re.findall(r"equity is ([\d.]+) - ([\d.]+) = ([\d.]+), and the maintenance margin ([\d.]+)\.", PAGE)
    numbers = story.steps["9"]
    assert said[0] == numbers["reservedForIsolatedMarginPosition"]
    assert "-" + said[1] == numbers["unrealizedPnl"]
    assert Fraction(said[0]) - Fraction(said[1]) == Fraction(said[2])
    assert said[3] == numbers["maintMargin"]
    assert Fraction(said[2]) - Fraction(said[3]) == Fraction(1, 10**8)


def test_the_same_in_cross() -> None:
    story = Story()
    story.mark("75000")
    story.world.sell("boris", "1", "75000")
    story.world.buy("anna", "1")
    story.tell(1)
    ((titles, row),) = [found for found in tables() if found[0][-1] == "`crossMarginRatio`"]
    assert row == [story.steps["1"][title.strip("`")] for title in titles]


def test_the_settings_of_the_page_exist_with_these_defaults() -> None:
    settings = {setting.flag: str(setting.default) for setting in describe()}
    for flags, defaults, _ in table("setting", "default"):
        for flag, default in zip(flags.split(", "), defaults.split(", "), strict=True):
            assert settings[flag.strip("`")] == default.strip("`")
    assert set(re.findall(r"`(--[\w-]+)", PAGE)) <= {*settings, "--no-market"}
    (fields,) = re.findall(r"^Of an instrument: (.*): see", PAGE, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", fields)) <= set(InstrumentFile.__struct_fields__)
