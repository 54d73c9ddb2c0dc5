"""Disk use over many days of trading: bounded by what is to be kept, not by how long the exchange runs."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from tests.service.exchange import START, Exchange

from tickwire.journal.database import FILE_NAME
from tickwire.service.verify import verify
from tickwire.wire.intervals import DAY

DAYS = 16


def measured(directory: Path) -> dict[str, int]:
    """Rows of each table, and the pages of the file; the log beside it is bounded by itself."""
    connection = sqlite3.connect(directory / FILE_NAME)
    tables = ("journal", "snapshots", "orders", "executions")
    found = {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}
    found["pages"] = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.close()
    return found


@pytest.mark.parametrize("retention", [0, 3000])
def test_the_directory_does_not_grow(tmp_path: Path, retention: int) -> None:
    counts: list[dict[str, int]] = []
    made = 0

    async def run() -> None:
        nonlocal made
        exchange = Exchange(
            tmp_path, snapshot_every=500, history_days=2, journal_retention=retention, candle_retention=1
        )
        for day in range(1, DAYS + 1):
            # The rest of the day nobody trades.
            await exchange.run(4, "alice", "bob")
            await exchange.run(4)
            exchange.time = START + day * DAY
            exchange.sequencer.save_snapshot()
            await exchange.sequencer.settled()
            await asyncio.sleep(0)
            counts.append(measured(tmp_path))
        made = exchange.engine.next_exec_id
        assert not exchange.failures
        exchange.kill()

    asyncio.run(run())
    # After some days as much goes as comes.
    for what in counts[0]:
        assert max(count[what] for count in counts[9:]) <= 1.5 * max(count[what] for count in counts[3:9]), what
    assert counts[-1]["snapshots"] == 2 if not retention else 2 < counts[-1]["snapshots"] < 10
    # More was made than is kept, and what is kept is whole.
    assert counts[-1]["executions"] < made / 4
    report = verify(tmp_path, lambda done, total: None)
    assert report.problems == []
    assert report.replayed_commands >= retention
