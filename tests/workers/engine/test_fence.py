"""The fence: the one thing that keeps two engines from offering an arrival twice."""

import time

from workers.engine.fence import Fence, allows

HOUR_NS = 3600 * 10**9


def test_a_byte_may_leave_only_before_the_end_of_the_authorisation():
    assert allows(until_ns=10, now_ns=9)
    assert not allows(until_ns=10, now_ns=10)
    assert not allows(until_ns=10, now_ns=11)


def test_nothing_is_allowed_before_the_first_authorisation_and_after_the_end():
    fence = Fence()
    assert not fence.allows_now()
    fence.extend(time.clock_gettime_ns(time.CLOCK_BOOTTIME) + HOUR_NS)
    assert fence.allows_now()
    fence.close()
    fence.extend(time.clock_gettime_ns(time.CLOCK_BOOTTIME) + 2 * HOUR_NS)
    assert not fence.allows_now()


def test_an_old_message_does_not_shorten_the_authorisation():
    fence = Fence()
    fence.extend(100)
    fence.extend(50)
    assert fence.until_ns == 100
