from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.rest.support import Client, DirectGateway, make_application

from tickwire.exchange.commands import CreateAccount, Deposit
from tickwire.exchange.instruments import MONEY_UNIT
from tickwire.rest.application import Application


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[DirectGateway]:
    made = DirectGateway(tmp_path)
    made.open_market()
    made.apply(CreateAccount("alice"))
    made.apply(Deposit("alice", "USDT", 10_000 * MONEY_UNIT))
    made.log.clear()
    yield made
    made.close()


@pytest.fixture
def application(gateway: DirectGateway) -> Application:
    return make_application(gateway)


@pytest.fixture
def client(application: Application, gateway: DirectGateway) -> Client:
    return Client(application, gateway, gateway.keys.create("alice", ["read", "trade"]))


@pytest.fixture
def anonymous(application: Application, gateway: DirectGateway) -> Client:
    return Client(application, gateway)
