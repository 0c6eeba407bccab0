"""The common clock against a real server."""

import time

from workers.clock import CommonClock, quickest


def test_common_time_is_the_servers_and_maps_back_to_monotonic(redis_client):
    clock = CommonClock()
    reading = clock.measure(redis_client, server="s")
    assert reading.uncertainty_s < 0.1
    seconds, micros = redis_client.time()
    assert abs(clock.now() - (seconds + micros / 1e6)) < 0.2
    at_ns = clock.monotonic_ns(clock.now() + 1)
    assert abs(at_ns - time.monotonic_ns() - 1e9) < 1e8
    assert abs(clock.common_s(at_ns) - clock.now() - 1) < 0.1


def test_a_slow_answer_does_not_spoil_the_offset():
    answers = iter([0.05, 0.0, 0.05, 0.05, 0.05, 0.05, 0.05])

    def ask() -> tuple[int, int]:
        true_s = time.monotonic() + 1000
        time.sleep(next(answers))
        return int(true_s), int(true_s % 1 * 1e6)

    offset_s, trip_s = quickest(ask)
    assert trip_s < 0.04
    assert abs(offset_s - 1000) <= trip_s / 2 + 1e-4


def test_on_a_slow_way_fewer_answers_have_to_do():
    asked = []

    def ask() -> tuple[int, int]:
        asked.append(time.monotonic())
        time.sleep(0.3)
        return int(asked[-1] + 1000), 0

    assert quickest(ask)[1] >= 0.3
    assert 1 <= len(asked) <= 2
