import pytest

from tickwire.keys import limits
from tickwire.keys.limits import BucketTable, TokenBucket


def test_a_bucket_starts_full_and_refills_at_its_rate() -> None:
    bucket = TokenBucket(rate=2.0, burst=3.0, now=10.0)
    assert [bucket.take(10.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bucket.take(10.0) == pytest.approx(0.5)
    assert bucket.take(10.25) == pytest.approx(0.25)
    assert bucket.take(10.5) == 0.0


def test_it_holds_no_more_than_its_burst() -> None:
    bucket = TokenBucket(rate=2.0, burst=3.0, now=0.0)
    bucket.take(0.0)
    assert bucket.refill(1_000.0) == 3.0


def test_a_refusal_takes_nothing() -> None:
    bucket = TokenBucket(rate=1.0, burst=1.0, now=0.0)
    bucket.take(0.0)
    assert [bucket.take(0.5) for _ in range(2)] == [0.5, 0.5]


def test_waiting_as_long_as_told_is_enough() -> None:
    start = 1_700_000_000.1
    bucket = TokenBucket(rate=20 / 60, burst=7.0, now=start)
    while not (wait := bucket.take(start)):
        pass
    assert bucket.take(start + wait) == 0.0


def test_spending_goes_below_zero_and_is_paid_back() -> None:
    bucket = TokenBucket(rate=1.0, burst=1.0, now=0.0)
    assert [bucket.spend(0.0) for _ in range(3)] == [0.0, -1.0, -2.0]
    assert bucket.take(2.0) == 1.0
    assert bucket.take(3.0) == 0.0


def test_a_clock_set_back_brings_no_tokens_and_keeps_none_back() -> None:
    bucket = TokenBucket(rate=1.0, burst=5.0, now=3600.0)
    for _ in range(5):
        bucket.take(3600.0)
    assert bucket.take(0.0) > 0
    assert bucket.take(0.5) > 0
    assert bucket.take(1.0) == 0.0


def test_each_name_has_its_bucket() -> None:
    table = BucketTable(rate=1.0, burst=1.0)
    assert table.take("a", 0.0) == 0.0
    assert table.take("b", 0.0) == 0.0
    assert table.take("a", 0.0) == 1.0


def test_full_buckets_are_dropped_when_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_MAX_BUCKETS", 3)
    table = BucketTable(rate=1.0, burst=2.0)
    for name in ("a", "b", "c"):
        table.take(name, 0.0)
    table.take("c", 0.75)
    table.take("d", 1.0)
    assert sorted(table._buckets) == ["c", "d"]
    assert table.take("c", 1.0) == 0.0
    assert table.take("c", 1.0) > 0
