"""`tickwire serve --repair`: goes on from the last command that can be read, and says what is lost.

The damaged file is kept beside the new one, see ``journal.repair``.
"""

import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tickwire.exchange.engine import Engine
from tickwire.exchange.order_rows import history_row
from tickwire.journal.archive import Archive
from tickwire.journal.database import FILE_NAME, DamagedJournalError, lock
from tickwire.journal.mark import read_mark
from tickwire.journal.records import OrderRecord
from tickwire.journal.recovery import check_end
from tickwire.journal.repair import Remains, finish, rebuild
from tickwire.service.replay import Replay
from tickwire.service.rules import Rules
from tickwire.wire.intervals import SECOND

__all__ = ["repair"]

# Which ids the lost commands had given out is not known; this is more than they can have.
_SKIPPED_IDS = 1_000_000_000

_log = logging.getLogger("tickwire")


def repair(directory: Path, rules: Rules, say: Callable[[str], None]) -> None:
    """Cut the journal where it is damaged, if it is. ``rules`` are for a journal that has none.

    Raises ``StoreError`` when nothing can be read, ``RulesError`` and ``SnapshotError``.
    """
    if not directory.is_dir():
        return
    held = lock(directory)
    try:
        finish(directory)
        if (directory / FILE_NAME).exists():
            _repair(directory, rules, say)
    finally:
        os.close(held)


def _repair(directory: Path, rules: Rules, say: Callable[[str], None]) -> None:
    path = directory / FILE_NAME
    damage: list[str] = []
    try:
        check_end(path)
    except DamagedJournalError as error:
        damage.append(str(error))
    with Archive(directory) as archive:
        damage += [f"{path}: {fault}" for fault in archive.faults()]
        recovery = archive.recover(_log.warning)
        replay = Replay(recovery, rules)
        newest = max(read_mark(directory), replay.engine.sequence)
        try:
            newest = max(newest, archive.last_sequence())
            for batch in recovery.batches:
                replay.run(batch)
        except DamagedJournalError as error:
            damage.append(str(error))
    if not damage:
        say(f"{path}: nothing is damaged, nothing to repair")
        return
    for text in damage:
        say(text)
    engine = replay.engine
    kept, at = engine.sequence, engine.time
    remains = _remains(engine, newest, replay.rules)
    rebuilt = rebuild(directory, remains)
    lost = "no command" if newest <= kept else f"the commands {kept + 1} to {newest}"
    say(
        f"repaired: everything up to sequence {kept} ({_date(at)}) is kept; lost: {lost},"
        f" {_rows(rebuilt.orders)} orders and {_rows(rebuilt.executions)} executions of the history;"
        f" the damaged journal is kept as {rebuilt.damaged}"
    )


def _remains(engine: Engine, newest: int, rules: Rules) -> Remains:
    """The state as it is to go on. No sequence number and no id is given out twice, so what is lost is skipped."""
    next_order_id, next_exec_id = engine.next_order_id, engine.next_exec_id
    if newest > engine.sequence:
        engine.sequence = newest
        engine.next_order_id += _SKIPPED_IDS
        engine.next_exec_id += _SKIPPED_IDS
    # What was open then may have been filled or cancelled by what is lost.
    orders = [
        OrderRecord(
            account.name,
            order.id,
            order.symbol,
            order.market.instrument.perpetual,
            order.time,
            order.transact_time,
            msgspec.json.encode(history_row(order, order)),
        )
        for account in engine.accounts.values()
        if not account.house
        for order in account.orders.values()
    ]
    return Remains(engine.sequence, engine.dump(), rules.encode(), next_order_id, next_exec_id, orders)


def _date(time: int) -> str:
    return datetime.fromtimestamp(time // SECOND, UTC).isoformat()


def _rows(count: int | None) -> str:
    return "an unknown number of" if count is None else str(count)
