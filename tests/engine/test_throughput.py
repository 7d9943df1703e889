"""Tokens per second over the last ten seconds."""

from corral_server.engine.throughput import Throughput


def test_nothing_counted_is_nothing() -> None:
    assert Throughput().per_second(5.0) == 0.0


def test_what_was_counted_is_spread_over_ten_seconds() -> None:
    throughput = Throughput()
    for second in range(100, 110):
        throughput.add(7, float(second))
    assert throughput.per_second(109.5) == 7.0


def test_what_is_older_than_ten_seconds_counts_no_more() -> None:
    throughput = Throughput()
    throughput.add(50, 100.0)
    assert [throughput.per_second(at) for at in (109.9, 110.0, 1e9)] == [5.0, 0.0, 0.0]


def test_a_long_pause_leaves_nothing_behind() -> None:
    throughput = Throughput()
    throughput.add(50, 100.0)
    throughput.add(10, 1000.0)
    assert throughput.per_second(1000.0) == 1.0
