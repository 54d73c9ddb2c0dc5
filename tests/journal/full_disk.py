"""A program to be run where its directory is a file system of one megabyte: fills it, and looks at what comes of it."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
from tests.journal.samples import Outcomes, batch, command, order, recovered

from tickwire.journal.database import Durability, StoreError
from tickwire.journal.store import Store


def make_room(directory: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=4m", str(directory)], check=True)


async def fill_while_running(directory: Path, durability: Durability) -> None:
    store = Store.open(directory, durability, loop=asyncio.get_running_loop())
    outcomes = Outcomes()
    sequence = 0
    while not any(outcomes.errors):
        for _ in range(10):
            sequence += 1
            store.commit(batch(sequence, orders=[order(sequence, row=b'"%b"' % (b"x" * 3000))]), outcomes.of(sequence))
        await outcomes.count(sequence)
    assert outcomes.names == list(range(1, sequence + 1))
    kept = outcomes.errors.index(next(error for error in outcomes.errors if error))
    assert 0 < kept < sequence
    assert set(outcomes.errors[:kept]) == {None}
    for error in outcomes.errors[kept:]:
        assert isinstance(error, StoreError)
        assert "exchange.sqlite: no space is left on the disk" in str(error)

    # Refused for good, even when there is room again: what is in memory is ahead of the file.
    make_room(directory)
    store.save_snapshot(kept, b"state", outcomes.of("snapshot"))
    store.commit(batch(sequence + 1), outcomes.of("later"))
    await outcomes.count(sequence + 2)
    assert all(isinstance(error, StoreError) for error in outcomes.errors[-2:])
    store.close()

    after = Store.open(directory)
    assert recovered(after)[2] == [command(number) for number in range(1, kept + 1)]
    after.close()


def fill_before_opening(directory: Path) -> None:
    (directory / "filler").write_bytes(b"x" * (1024 * 1024 - 8192))
    with pytest.raises(StoreError, match="no space is left on the disk"):
        Store.open(directory)


if __name__ == "__main__":
    where = Path(sys.argv[1])
    if sys.argv[2] == "before":
        fill_before_opening(where)
    else:
        asyncio.run(fill_while_running(where, cast(Durability, sys.argv[2])))
    print("done")
