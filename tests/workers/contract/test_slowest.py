from workers.contract.slowest import MOST, MOST_FAILED, slowest_of
from workers.contract.snapshot import SlowRequest


def slow(index: int, latency_s: float, outcome: str = "ok") -> SlowRequest:
    return SlowRequest(f"surge/{index}/1", "", outcome, 0.0, latency_s, latency_s)


def test_the_slowest_come_first_and_each_once():
    requests = [slow(index, index / 10) for index in range(50)]
    found = slowest_of([*requests, *requests[40:]])
    assert [one.latency_s for one in found] == [index / 10 for index in range(49, 49 - MOST, -1)]


def test_timeouts_do_not_hide_which_answers_were_slow():
    timeouts = [slow(index, 60.0, "timeout") for index in range(100)]
    answers = [slow(1000 + index, index / 10) for index in range(100)]
    found = slowest_of([*timeouts, *answers])
    assert len(found) == MOST
    assert sum(one.outcome == "timeout" for one in found) == MOST_FAILED
    assert next(one.latency_s for one in found if one.outcome == "ok") == 9.9


def test_keeping_the_slowest_part_by_part_comes_to_the_same_as_at_once():
    requests = [
        slow(index, (index * 7919 % 1000) / 10, "ok" if index % 3 else "http_503") for index in range(300)
    ]
    kept: list[SlowRequest] = []
    for first in range(0, 300, 13):
        kept = slowest_of([*kept, *slowest_of(requests[first : first + 13])])
    assert kept == slowest_of(requests)
