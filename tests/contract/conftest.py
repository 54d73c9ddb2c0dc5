"""The servers that the tests talk to. Each worker of pytest-xdist has its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.support import Account, Server


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The exchange as `tickwire serve` starts it, with the simulated market; without limits."""
    with Server(tmp_path_factory.mktemp("live") / "data", "--no-limits") as server:
        yield server


@pytest.fixture(scope="session")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An exchange on which only the tests' accounts trade. Shared: tests leave no order in a book."""
    with Server(tmp_path_factory.mktemp("quiet") / "data", "--no-market", "--no-limits") as server:
        yield server


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Server]:
    """An exchange of the test's own, for exact scenarios: nobody has ever traded there."""
    with Server(tmp_path / "data", "--no-market", "--no-limits") as server:
        yield server


@pytest.fixture
def alice(exchange: Server) -> Account:
    """An account of the test's own exchange, with 100,000 USDT."""
    return exchange.key("alice")


@pytest.fixture
def bob(exchange: Server) -> Account:
    """Another one, to trade with."""
    return exchange.key("bob")


@pytest.fixture
def trader(quiet: Server) -> Iterator[Account]:
    """A new account on the shared quiet exchange."""
    account = quiet.account()
    yield account
    account.cancel_all()
