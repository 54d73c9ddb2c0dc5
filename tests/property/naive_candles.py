"""Candles and 24-hour statistics counted anew from all trades each time."""

from tickwire.wire.intervals import MINUTE, next_start, start_of

Trade = tuple[int, int, int, int]  # time, price, quantity, turnover
Values = tuple[int, int, int, int, int, int, int]


class NaiveCandles:
    """Keeps every trade."""

    def __init__(self) -> None:
        self.trades: list[Trade] = []

    def trade(self, time: int, price: int, quantity: int, turnover: int) -> None:
        self.trades.append((time, price, quantity, turnover))

    def candles(self, interval: str, time: int) -> list[Values]:
        """Every candle from the first trade to ``time``, the open one last."""
        if not self.trades:
            return []
        result: list[Values] = []
        start = start_of(interval, self.trades[0][0])
        close = self.trades[0][1]
        while start <= time:
            end = next_start(interval, start)
            inside = [trade for trade in self.trades if start <= trade[0] < end]
            prices = [price for _, price, _, _ in inside]
            # A candle opens at the close of the one before it.
            opened = close
            everything = [opened, *prices]
            close = prices[-1] if prices else close
            result.append(
                (
                    start,
                    opened,
                    max(everything),
                    min(everything),
                    close,
                    sum(t[2] for t in inside),
                    sum(t[3] for t in inside),
                )
            )
            start = end
        return result

    def check(self, interval: str, found: list[Values], time: int) -> None:
        """Compare the newest candles; those of long ago may be gone."""
        wanted = self.candles(interval, time)
        assert found == wanted[-len(found) :] if found else not wanted

    def statistics(self, time: int) -> tuple[int, int, int] | None:
        """Volume, turnover and price change over the open minute and the 1,439 before it."""
        if not self.trades:
            return None
        since = start_of("1", time) - 1_439 * MINUTE
        inside = [trade for trade in self.trades if trade[0] >= since]
        earlier = [price for time, price, _, _ in self.trades if time < since]
        opened = earlier[-1] if earlier else self.trades[0][1]
        return sum(t[2] for t in inside), sum(t[3] for t in inside), self.trades[-1][1] - opened
