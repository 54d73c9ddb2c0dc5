from tickwire.rest.limits import _MAX_BUCKETS, RequestLimits

NOW = 1_765_975_842.25


def test_a_burst_of_one_second_is_let_through_and_no_more() -> None:
    limits = RequestLimits(100)
    standings = [limits.take("alice-key", NOW) for _ in range(101)]
    assert [standing.remaining for standing in standings] == [*range(99, -1, -1), 0]
    assert [standing.retry_after for standing in standings] == [0] * 100 + [1]
    assert standings[0].reset == 1_765_975_843
    assert standings[-1].reset == 1_765_975_844


def test_requests_come_back_with_time() -> None:
    limits = RequestLimits(10)
    for _ in range(11):
        limits.take("alice-key", NOW)
    assert limits.take("alice-key", NOW + 0.05).retry_after == 1
    assert limits.take("alice-key", NOW + 0.125).retry_after == 0
    assert limits.take("alice-key", NOW + 60).remaining == 9


def test_each_name_has_its_own() -> None:
    limits = RequestLimits(1)
    assert limits.take("alice-key", NOW).retry_after == 0
    assert limits.take("bob-key", NOW).retry_after == 0
    assert limits.take("alice-key", NOW).retry_after == 1


def test_a_slow_rate_says_how_long_to_wait() -> None:
    limits = RequestLimits(1)
    limits.take("alice-key", NOW)
    assert limits.take("alice-key", NOW + 0.5).retry_after == 1


def test_a_scan_from_many_addresses_is_forgotten_and_a_busy_one_is_not() -> None:
    limits = RequestLimits(1)
    for number in range(_MAX_BUCKETS - 1):
        limits.take(f"address {number}", NOW)
    limits.take("busy", NOW + 2)
    limits.take("one more", NOW + 2)
    assert len(limits._buckets) == 2
    assert limits.take("busy", NOW + 2).retry_after == 1
