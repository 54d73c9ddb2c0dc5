"""The house accounts: who opens them, and who keeps them in funds."""

from tickwire.exchange.accounts import Account
from tickwire.exchange.commands import CancelAll, CreateAccount, Deposit
from tickwire.exchange.engine import Engine
from tickwire.exchange.instruments import MONEY_UNIT
from tickwire.market.view import Door, Participant

__all__ = ["House"]

# Money of each account in the quote currency, far more than it should need.
FUNDS = 500_000_000
# Cross margin has to outlive a price that runs against a position for long: at least this many times its value.
CUSHION = 5
PAUSE = 5.0


class House:
    """Deposits what an account lacks, long before it is short."""

    def __init__(self, engine: Engine, door: Door) -> None:
        self._engine = engine
        self._door = door
        self._members: list[Participant] = []

    def open(self, role: str, symbol: str) -> Account:
        """The account of a role, opened at first use; orders of an earlier run are cancelled."""
        name = f"house.{role}.{symbol}"
        if name not in self._engine.accounts:
            self._door(CreateAccount(name, house=True))
        elif self._engine.accounts[name].orders:
            self._door(CancelAll(name))
        return self._engine.accounts[name]

    def admit(self, member: Participant) -> None:
        """Fund a participant, now and from now on."""
        self._members.append(member)
        self._fund(member)

    def act(self) -> float:
        """Look at all accounts; returns the seconds until the next time."""
        for member in self._members:
            self._fund(member)
        return PAUSE

    def _fund(self, member: Participant) -> None:
        account, instrument = member.account, member.view.instrument
        needed = max(FUNDS, int(2 * CUSHION * abs(member.exposure()))) * MONEY_UNIT
        held = account.wallets.get(instrument.quote, 0)
        if 2 * held < needed:
            self._door(Deposit(account.name, instrument.quote, needed - held))
        if not instrument.perpetual:
            endowment = member.endowment * instrument.step_money
            held = account.wallets.get(instrument.base, 0)
            if not endowment < 4 * held < 16 * endowment:
                self._door(Deposit(account.name, instrument.base, endowment - held))
