import asyncio
import errno
import functools
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.journal.samples import Outcomes, batch, command, exec_ids, execution, order, order_ids, recovered

from tickwire.journal import store as store_module
from tickwire.journal.database import FILE_NAME, Durability, StoreError
from tickwire.journal.pruning import Retention
from tickwire.journal.store import Store

ROOT = Path(__file__).parents[2]  # where a program given on the command line finds the samples
NAMESPACE = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
DURABILITIES: list[Durability] = ["none", "process", "power"]


@pytest.fixture(params=DURABILITIES)
def durability(request: pytest.FixtureRequest) -> Durability:
    found: Durability = request.param
    return found


def looped(directory: Path, durability: Durability = "process") -> Store:
    """A store that reports on the running loop."""
    return Store.open(directory, durability, loop=asyncio.get_running_loop())


# On a loop.


async def test_commit_returns_at_once_and_reports_in_order_on_the_loops_thread(
    tmp_path: Path, durability: Durability
) -> None:
    store = looped(tmp_path, durability)
    outcomes = Outcomes()
    threads: set[int] = set()
    for sequence in range(1, 101):
        store.commit(batch(sequence), outcomes.of(sequence))
        if sequence % 7 == 0:
            await asyncio.sleep(0)

    def done(error: Exception | None) -> None:
        threads.add(threading.get_ident())
        outcomes.of(101)(error)

    store.commit(batch(101), done)
    assert len(outcomes.names) < 100  # the last ones at least wait for the turn's end
    await outcomes.count(101)
    assert outcomes.names == list(range(1, 102))
    assert set(outcomes.errors) == {None}
    assert threads == {threading.get_ident()}
    store.close()
    assert recovered(Store.open(tmp_path))[2] == [command(sequence) for sequence in range(1, 102)]


async def test_what_was_reported_is_seen_by_the_next_query(tmp_path: Path, durability: Durability) -> None:
    store = looped(tmp_path, durability)
    outcomes = Outcomes()
    seen: list[tuple[list[int], list[int]]] = []

    def done(error: Exception | None) -> None:
        seen.append((order_ids(store), exec_ids(store)))
        outcomes.of(len(seen))(error)

    for sequence in range(1, 6):
        store.commit(batch(sequence, orders=[order(sequence)], executions=[execution(sequence, sequence)]), done)
        await outcomes.count(sequence)
    newest_first = [list(range(sequence, 0, -1)) for sequence in range(1, 6)]
    assert seen == [(ids, ids) for ids in newest_first]
    store.close()


async def test_the_batches_of_one_turn_are_one_transaction(tmp_path: Path, durability: Durability) -> None:
    store = looped(tmp_path, durability)
    outcomes = Outcomes()
    seen: list[list[int]] = []

    def done(error: Exception | None) -> None:
        seen.append(order_ids(store))
        outcomes.of(len(seen))(error)

    for sequence in range(1, 4):
        store.commit(batch(sequence, orders=[order(sequence)]), done)
    await outcomes.count(3)
    assert seen == [[3, 2, 1]] * 3
    store.close()


async def test_a_later_row_of_an_order_replaces_the_earlier_one(tmp_path: Path) -> None:
    store = looped(tmp_path)
    outcomes = Outcomes()
    store.commit(
        batch(1, orders=[order(1, row=b'{"order":1}'), order(2), order(1, row=b'{"order":11}')]), outcomes.of(1)
    )
    await outcomes.count(1)
    assert order_ids(store) == [2, 11]
    store.commit(batch(2, orders=[order(1, transact_time=9, row=b'{"order":111}')]), outcomes.of(2))
    await outcomes.count(2)
    assert order_ids(store) == [2, 111]
    store.close()


async def test_close_writes_and_reports_what_is_under_way(tmp_path: Path, durability: Durability) -> None:
    store = looped(tmp_path, durability)
    outcomes = Outcomes()
    for sequence in range(1, 11):
        store.commit(batch(sequence), outcomes.of(sequence))
        if sequence == 5:
            await asyncio.sleep(0)  # with durability power, the first five are on the worker thread now
    store.save_snapshot(10, b"state" * 100_000, outcomes.of("snapshot"))
    store.close()
    assert sorted(outcomes.names, key=str) == [1, 10, 2, 3, 4, 5, 6, 7, 8, 9, "snapshot"]
    assert [name for name in outcomes.names if name != "snapshot"] == list(range(1, 11))
    assert set(outcomes.errors) == {None}
    await asyncio.sleep(0.05)  # nothing is left on the loop that would use what is closed
    assert len(outcomes.names) == 11
    assert recovered(Store.open(tmp_path)) == (b"state" * 100_000, 10, [])


async def test_snapshots_and_commits_run_side_by_side(tmp_path: Path, durability: Durability) -> None:
    store = looped(tmp_path, durability)
    outcomes, snapshots = Outcomes(), Outcomes()
    state = os.urandom(1_000_000)
    for sequence in range(1, 201):
        store.commit(batch(sequence), outcomes.of(sequence))
        if sequence % 40 == 0:
            store.save_snapshot(sequence, state, snapshots.of(sequence))
        await asyncio.sleep(0.001)
    await outcomes.count(200)
    await snapshots.count(5)
    assert outcomes.names == list(range(1, 201))
    assert set(outcomes.errors) | set(snapshots.errors) == {None}
    store.close()
    assert recovered(Store.open(tmp_path)) == (state, 200, [])


async def test_a_snapshot_comes_after_its_commands(tmp_path: Path, durability: Durability) -> None:
    """Or a process killed between the two would have a state without the history that led to it."""
    store = looped(tmp_path, durability)
    outcomes = Outcomes()
    # Large enough for the snapshot to be ready before it is written, on a thread or on the loop.
    store.commit(batch(1, orders=[order(number) for number in range(20_000)]), outcomes.of(1))
    await asyncio.sleep(0)
    store.commit(batch(2, orders=[order(1)]), outcomes.of(2))
    store.save_snapshot(2, b"state", outcomes.of("snapshot"))
    await outcomes.count(3)
    assert outcomes.names == [1, 2, "snapshot"]
    store.close()


async def test_a_loop_that_never_rests_does_not_keep_commits_or_upkeep_waiting(
    tmp_path: Path, durability: Durability, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each report commits the next batch at once, so there is always a group to write."""
    monkeypatch.setattr(store_module, "_CHECKPOINT_BYTES", 256 * 1024)
    store = looped(tmp_path, durability)
    snapshots = Outcomes()
    ended = asyncio.Event()

    def go_on(error: Exception | None) -> None:
        assert error is None
        if len(snapshots.names) == 3:
            ended.set()
        else:
            store.commit(batch(store.last_sequence + 1), go_on)

    store.commit(batch(1), go_on)
    for _ in range(3):
        await asyncio.sleep(0.01)
        store.save_snapshot(store.last_sequence, b"state", snapshots.of("snapshot"))
    async with asyncio.timeout(60):
        await ended.wait()
    assert (tmp_path / f"{FILE_NAME}-wal").stat().st_size < 4 * 1024 * 1024
    store.close()
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    assert connection.execute("SELECT count(*) FROM snapshots").fetchone() == (2,)


class Syncs:
    """The real sync of a file, with a count of how often it began, and a fault where one is set."""

    def __init__(self) -> None:
        self._sync = store_module._sync_file
        self.begun = 0
        self.fault: OSError | None = None

    def __call__(self, descriptor: int) -> None:
        self.begun += 1
        if self.fault is not None:
            raise self.fault
        self._sync(descriptor)


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> Syncs:
    found = Syncs()
    monkeypatch.setattr(store_module, "_sync_file", found)
    return found


async def test_with_power_nothing_is_reported_before_a_sync_that_began_after_it_was_handed_over(
    tmp_path: Path, syncs: Syncs
) -> None:
    store = looped(tmp_path, "power")
    outcomes = Outcomes()
    begun_before: list[int] = []
    begun_when_reported: list[int] = []

    def report(sequence: int, error: Exception | None) -> None:
        begun_when_reported.append(syncs.begun)
        outcomes.of(sequence)(error)

    for sequence in range(1, 31):
        begun_before.append(syncs.begun)
        store.commit(batch(sequence), functools.partial(report, sequence))
        if sequence % 4 == 0:
            await asyncio.sleep(0)
        if sequence % 10 == 0:
            await outcomes.count(sequence)
    assert outcomes.names == list(range(1, 31))
    assert set(outcomes.errors) == {None}
    assert all(after > before for after, before in zip(begun_when_reported, begun_before, strict=True))
    assert syncs.begun < 30  # one for all that were written meanwhile
    store.close()


async def test_a_failed_sync_ends_the_journal(tmp_path: Path, syncs: Syncs) -> None:
    store = looped(tmp_path, "power")
    outcomes = Outcomes()
    store.commit(batch(1), outcomes.of(1))
    await outcomes.count(1)
    syncs.fault = OSError(errno.EIO, "Input/output error")
    store.commit(batch(2), outcomes.of(2))
    await asyncio.sleep(0)
    store.commit(batch(3), outcomes.of(3))
    await outcomes.count(3)
    syncs.fault = None  # one that is tried again would succeed, and prove nothing
    store.commit(batch(4), outcomes.of(4))
    store.save_snapshot(1, b"state", outcomes.of("snapshot"))
    await outcomes.count(5)
    assert outcomes.errors[0] is None
    assert all("Input/output error" in str(error) for error in outcomes.errors[1:])
    store.close()


@pytest.mark.parametrize("other", ["none", "process"])
async def test_without_power_a_commit_waits_for_no_sync(tmp_path: Path, syncs: Syncs, other: Durability) -> None:
    store = looped(tmp_path, other)
    outcomes = Outcomes()
    store.commit(batch(1), outcomes.of(1))
    await outcomes.count(1)
    store.close()
    assert syncs.begun == 0


# Without a loop.


def test_without_a_loop_everything_is_done_before_commit_returns(tmp_path: Path, durability: Durability) -> None:
    store = Store.open(tmp_path, durability)
    outcomes = Outcomes()
    store.commit(batch(1, orders=[order(7)]), outcomes.of(1))
    assert (outcomes.names, outcomes.errors) == ([1], [None])
    assert order_ids(store) == [7]
    store.save_snapshot(1, b"state", outcomes.of("snapshot"))
    assert outcomes.names == [1, "snapshot"]


def test_a_commit_from_a_report_comes_after_the_others_of_the_group(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    outcomes = Outcomes()

    def go_on(error: Exception | None) -> None:
        outcomes.of("first")(error)
        for sequence in range(2, 5000):  # deep enough for any recursion to show
            store.commit(batch(sequence), outcomes.of(sequence))

    store.commit(batch(1), go_on)
    assert outcomes.names == ["first", *range(2, 5000)]


def test_reports_that_commit_may_go_on_for_ever(tmp_path: Path) -> None:
    store = Store.open(tmp_path, "none")
    ended: list[int] = []

    def go_on(error: Exception | None) -> None:
        assert error is None
        if store.last_sequence < 5000:  # more than the stack would hold
            store.commit(batch(store.last_sequence + 1), go_on)
        else:
            ended.append(store.last_sequence)

    store.commit(batch(1), go_on)
    assert ended == [5000]


def test_a_report_that_fails_does_not_cost_the_others_theirs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fail(error: Exception | None) -> None:
        raise RuntimeError("the caller's own fault")

    store = Store.open(tmp_path)
    outcomes = Outcomes()
    store.commit(batch(1), fail)
    store.commit(batch(2), outcomes.of(2))
    assert outcomes.errors == [None]
    assert "the caller's own fault" in caplog.text


# What is refused.


def test_a_batch_must_follow_the_last_one(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    outcomes = Outcomes()
    with pytest.raises(ValueError, match="first_sequence: expected 1, got 2"):
        store.commit(batch(2), outcomes.of(2))
    store.commit(batch(1, 3), outcomes.of(1))
    with pytest.raises(ValueError, match="first_sequence: expected 4, got 3"):
        store.commit(batch(3), outcomes.of(3))
    with pytest.raises(ValueError, match="commands: expected at least one"):
        store.commit(batch(4, 0), outcomes.of(4))
    assert outcomes.names == [1]
    assert store.last_sequence == 3


def test_a_snapshot_must_not_be_ahead_of_the_journal(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    with pytest.raises(ValueError, match="sequence: expected at most 0, got 1"):
        store.save_snapshot(1, b"state", Outcomes().of(1))


def test_a_closed_journal_says_so(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.close()
    store.close()
    outcomes = Outcomes()
    store.commit(batch(1), outcomes.of(1))
    store.save_snapshot(1, b"state", outcomes.of("snapshot"))
    assert outcomes.names == [1, "snapshot"]
    assert all("the journal is closed" in str(error) for error in outcomes.errors)
    with pytest.raises(StoreError):
        order_ids(store)


# Space.


def sizes(directory: Path) -> tuple[int, int, int]:
    """Pages of the file, journal rows, snapshots."""
    connection = sqlite3.connect(directory / FILE_NAME)
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    rows = connection.execute("SELECT count(*) FROM journal").fetchone()[0]
    snapshots = connection.execute("SELECT count(*) FROM snapshots").fetchone()[0]
    connection.close()
    return pages, rows, snapshots


@pytest.mark.parametrize("keep", [1, 2, 4])
def test_the_file_does_not_grow_over_snapshots(tmp_path: Path, keep: int) -> None:
    store = Store.open(tmp_path, "none", retention=Retention(snapshots=keep))
    outcomes = Outcomes()
    grown: list[int] = []
    for _cycle in range(12):
        for _ in range(1500):  # more than are deleted in one transaction
            store.commit(batch(store.last_sequence + 1), outcomes.of(0))
        store.save_snapshot(store.last_sequence, os.urandom(200_000), outcomes.of(0))
        pages, rows, snapshots = sizes(tmp_path)
        assert rows <= 1500 * keep
        assert snapshots <= keep
        grown.append(pages)
    assert max(grown[keep + 1 :]) <= grown[keep + 1] * 1.05
    assert set(outcomes.errors) == {None}


def test_a_batch_that_reaches_over_the_oldest_snapshot_is_kept(tmp_path: Path) -> None:
    store = Store.open(tmp_path, retention=Retention(snapshots=1))
    for first in (1, 5, 9):
        store.commit(batch(first, 4), Outcomes().of(first))
    store.save_snapshot(6, b"state", Outcomes().of(0))
    assert sizes(tmp_path)[1] == 2
    assert recovered(store) == (b"state", 6, [command(sequence) for sequence in range(7, 13)])


async def test_the_wal_does_not_grow(tmp_path: Path, durability: Durability, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_CHECKPOINT_BYTES", 256 * 1024)
    store = looped(tmp_path, durability)
    outcomes = Outcomes()
    for number in range(1, 1501):
        kept = batch(number, orders=[order(number, row=b'"%b"' % (b"x" * 2000))])
        store.commit(kept, outcomes.of(number))
        await outcomes.count(number)
        assert order_ids(store, count=1, account="bob") == []
    assert (tmp_path / f"{FILE_NAME}-wal").stat().st_size < 4 * 1024 * 1024  # of some 20 that were written
    assert (tmp_path / FILE_NAME).stat().st_size > 1024 * 1024
    store.close()


# Failures.


@pytest.mark.parametrize("how", ["before", *DURABILITIES])
def test_a_full_disk(tmp_path: Path, how: str) -> None:
    """In a mount namespace, which needs no cleaning up however the test ends."""
    tiny = 'mount -t tmpfs -o size=1m tmpfs "$1"'
    if subprocess.run([*NAMESPACE, tiny, "sh", str(tmp_path)], capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    program = f'{tiny} && exec "$2" -m tests.journal.full_disk "$1" "$3"'
    done = subprocess.run(
        [*NAMESPACE, program, "sh", str(tmp_path), sys.executable, how],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


SMALL_FILES = """
import resource, sys
from tests.journal.samples import batch
from tickwire.journal.store import Store
store = Store.open(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
failed = []
for sequence in range(1, 2001):
    def done(error, sequence=sequence):
        if error:
            failed.append((sequence, str(error)))
        elif failed:
            print("went on after a failure")
    store.commit(batch(sequence), done)
store.close()
print(failed[0][0], len(failed), failed[0][1], sep="|")
"""


def run(program: str, *arguments: object) -> str:
    """What a program of another process prints."""
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_a_failure_to_write_ends_the_journal(tmp_path: Path) -> None:
    first, count, message = run(SMALL_FILES, tmp_path).strip().split("|")
    assert int(first) > 1
    assert int(count) == 2001 - int(first)
    assert "exchange.sqlite: disk I/O error" in message
    assert recovered(Store.open(tmp_path))[2] == [command(number) for number in range(1, int(first))]


async def test_what_can_not_be_kept_ends_the_journal_and_leaves_the_file_free(
    tmp_path: Path, durability: Durability
) -> None:
    store = looped(tmp_path, durability)
    outcomes = Outcomes()
    store.commit(batch(1, orders=[order(1)]), outcomes.of(1))
    await outcomes.count(1)
    store.commit(batch(2, orders=[order(2), order(3, transact_time=2**63)]), outcomes.of(2))
    store.commit(batch(3), outcomes.of(3))
    await outcomes.count(3)
    assert outcomes.errors[0] is None
    assert all("can't write: OverflowError" in str(error) for error in outcomes.errors[1:])
    assert order_ids(store) == [1]
    other = sqlite3.connect(tmp_path / FILE_NAME, timeout=0)
    other.execute("BEGIN IMMEDIATE")  # no half transaction is left open
    other.close()
    store.close()
    assert Store.open(tmp_path).last_sequence == 1


WRITER = """
import asyncio, sys
from tests.journal.samples import batch, order
from tickwire.journal.store import Store

async def main():
    store = Store.open(sys.argv[1], sys.argv[2], loop=asyncio.get_running_loop())
    print(store.last_sequence, flush=True)
    while True:
        for _ in range(3):
            first = store.last_sequence + 1
            last = first + 4
            store.commit(batch(first, 5, orders=[order(last)]), lambda error, last=last: print(last, flush=True))
        if store.last_sequence % 150 == 0:
            store.save_snapshot(store.last_sequence - 15, b"state", lambda error: None)
        await asyncio.sleep(0)

asyncio.run(main())
"""


def test_a_killed_process_loses_nothing_that_was_reported(tmp_path: Path, durability: Durability) -> None:
    reported = 0
    for lines in (1, 50, 200, 333):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), durability], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            assert int(writer.stdout.readline()) >= reported
            for _ in range(lines):
                reported = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
            reported = max([reported, *map(int, writer.stdout.read().split())])
        store = Store.open(tmp_path)
        assert store.last_sequence >= reported
        snapshot, sequence, found = recovered(store)
        assert (snapshot is None) == (sequence == 0)
        assert found == [command(number) for number in range(sequence + 1, store.last_sequence + 1)]
        assert order_ids(store, count=1)[0] == store.last_sequence
        store.close()
    assert reported > 0
