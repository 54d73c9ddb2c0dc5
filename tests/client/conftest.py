"""The servers that the client's tests talk to."""

from collections.abc import Iterator

import pytest
from tests.contract.support import Account, Server

# Fewer than there are by default: the simulated past of each one takes its time.
SYMBOLS = "BTCUSDT.PERP,ETHUSDT.PERP,BTCUSDT"


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The exchange as `tickwire serve` starts it, with the simulated market; without limits."""
    with Server(tmp_path_factory.mktemp("live") / "data", "--no-limits", "--symbols", SYMBOLS) as server:
        yield server


@pytest.fixture(scope="session")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An exchange on which only the tests' accounts trade. Shared: tests leave no order in a book."""
    with Server(tmp_path_factory.mktemp("quiet") / "data", "--no-market", "--no-limits") as server:
        yield server


@pytest.fixture
def trader(quiet: Server) -> Iterator[Account]:
    """A new account on the shared quiet exchange."""
    account = quiet.account()
    yield account
    account.cancel_all()
