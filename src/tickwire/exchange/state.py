"""The state that commands change, and the few helpers every part of the engine needs."""

from tickwire.exchange.accounts import Account, Position
from tickwire.exchange.book import Order
from tickwire.exchange.events import Events
from tickwire.exchange.executions import ExecutionEvent
from tickwire.exchange.instruments import Instrument
from tickwire.exchange.markets import Market
from tickwire.exchange.settings import EngineSettings, FeeLevel
from tickwire.wire.errors import ApiError
from tickwire.wire.rows import ExecType

__all__ = ["INSURANCE", "State"]

# The account that takes over liquidated positions; its wallet is the insurance fund.
INSURANCE = "insurance"


class State:
    """Everything the exchange knows. Only the engine's command handlers change it."""

    def __init__(self, instruments: dict[str, Instrument], settings: EngineSettings) -> None:
        self.settings = settings
        self.markets = {
            symbol: Market(instrument, settings.candle_retention) for symbol, instrument in instruments.items()
        }
        self.accounts: dict[str, Account] = {}
        self.time = 0
        self.sequence = 0
        self.next_order_id = 1
        self.next_exec_id = 1
        self.next_trigger_id = 1
        self.fees: dict[str, int] = {}  # collected, by asset
        self.deposits: dict[str, int] = {}  # net of withdrawals, by asset
        self.next_second = 0
        self.events = Events(0, 0)
        self.collateral = settings.collateral
        self.full_unrealized = settings.available_unrealized == "full"
        self.margin_on_entry = settings.margin_base == "entry"
        maker, taker = settings.maker_fee_rate, settings.taker_fee_rate
        self.fee_levels = (
            FeeLevel(0, 0, maker, taker),
            *[
                FeeLevel(
                    level.required_volume,
                    level.required_balance,
                    min(level.maker_rate, maker),
                    min(level.taker_rate, taker),
                )
                for level in settings.fee_levels
            ],
        )
        # The fund trades for the exchange itself and pays no fee.
        self.insurance = self.accounts[INSURANCE] = Account(INSURANCE, house=True)
        self.deposit(self.insurance, settings.collateral, settings.insurance_fund)

    def open_account(self, name: str, house: bool) -> Account:
        """A new account at the lowest fee level."""
        account = self.accounts[name] = Account(name, house)
        self.set_fee_level(account, 0)
        return account

    def set_fee_level(self, account: Account, level: int) -> None:
        """Give an account the rates of a level."""
        account.fee_level = level
        account.maker_fee_rate = self.fee_levels[level].maker_rate
        account.taker_fee_rate = self.fee_levels[level].taker_rate

    def market(self, symbol: str, field: str = "symbol") -> Market:
        """The market of a symbol. Raises ``ApiError`` InvalidSymbol."""
        market = self.markets.get(symbol)
        if market is None:
            raise ApiError("InvalidSymbol", f"{field}: no symbol {symbol[:40]!r}")
        return market

    def perpetual(self, symbol: str) -> Market:
        """As ``market``, for what only a perpetual has. Raises ``ApiError``."""
        market = self.market(symbol)
        if not market.instrument.perpetual:
            raise ApiError("InvalidParameter", f"symbol: expected a perpetual, got the spot pair {symbol}")
        return market

    def account(self, name: str) -> Account:
        """The account of a name. Raises ``ApiError`` when it was never opened."""
        account = self.accounts.get(name)
        if account is None:
            raise ApiError("InvalidParameter", f"account: no account {name!r}")
        return account

    def position(self, account: Account, market: Market) -> Position:
        """The account's side of a perpetual, made at first use."""
        position = account.positions.get(market.symbol)
        if position is None:
            position = account.positions[market.symbol] = Position(market, self.default_leverage(market))
        return position

    def default_leverage(self, market: Market) -> int:
        """The leverage of an account that has set none."""
        return min(self.settings.default_leverage, market.instrument.max_leverage)

    def free(self, account: Account) -> int:
        """What a new order of the account may take of the collateral; negative when it is short."""
        return account.free(self.collateral, self.full_unrealized)

    def carried(self, account: Account, position: Position) -> tuple[int, int]:
        """(equity, maintenance margin) of an isolated position, or of all cross ones."""
        if position.isolated:
            return position.isolated_margin + position.unrealized_pnl, position.maintenance_margin(self.margin_on_entry)
        return account.cross_carried(self.collateral)

    def withdrawable(self, account: Account, asset: str) -> int:
        """What may leave a wallet, out of the exchange or into the other asset of a spot trade.

        Floating profit is no money yet: it carries new perpetual orders (``free``), but can't be taken away. May be
        negative.
        """
        if asset != self.collateral:
            return account.spot_free(asset)
        return min(account.free(asset, False), account.wallets.get(asset, 0))

    def deposit(self, account: Account, asset: str, amount: int) -> None:
        """Move money in from outside, or out."""
        account.wallets[asset] = account.wallets.get(asset, 0) + amount
        if amount < 0:
            self.events.weakened[account] = None
        self.deposits[asset] = self.deposits.get(asset, 0) + amount

    def record(
        self,
        order: Order,
        exec_type: ExecType,
        last_price: int | None = None,
        last_quantity: int | None = None,
        fee: int | None = None,
    ) -> None:
        """Note that something happened to an order. House accounts keep no history."""
        account = order.account
        order.transact_time = self.time
        self.events.accounts[account] = None
        if account.house:
            return
        exec_id = self.next_exec_id
        self.next_exec_id = exec_id + 1
        self.events.executions.append(ExecutionEvent(order, exec_id, exec_type, last_price, last_quantity, fee))
