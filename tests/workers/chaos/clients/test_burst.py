"""Many requests at one moment, as the demo target's own log has them."""

import time


def test_all_requests_of_a_burst_come_and_no_more(agent, make_order, make_aim, demo, until, counted):
    target = demo("--ttft", "1ms", "--gap", "1ms", "--tokens", "2")
    order = make_order(None, fault="burst", options={"requests": 150}, aim=make_aim(target.url))
    one = agent(order)
    assert one.until_event("verified").took_effect
    until(lambda: counted(one).get("answers.200") == 150)
    one.stop.write_text("enough")
    reverted = one.rest()[-1]
    assert reverted.did["sent"] == reverted.did["answers.200"] == len(target.lines("received")) == 150


def test_a_burst_comes_again(agent, make_order, make_aim, demo, until):
    target = demo("--ttft", "1ms", "--gap", "1ms", "--tokens", "2")
    options = {"requests": 10, "every": "300ms"}
    one = agent(make_order(None, fault="burst", options=options, aim=make_aim(target.url)))
    until(lambda: len(target.lines("answered")) >= 30)
    one.stop.write_text("enough")
    assert one.rest()[-1].took_effect
    received_ns = [line["received_ns"] for line in target.lines("received")]
    assert received_ns[10] - received_ns[0] >= 0.25e9
    assert received_ns[20] - received_ns[0] >= 0.55e9


def test_a_rate_comes_evenly(agent, make_order, make_aim, demo, until):
    target = demo("--ttft", "1ms", "--gap", "1ms", "--tokens", "2")
    order = make_order(None, fault="burst", for_s=3.0, options={"rate": "20/s"}, aim=make_aim(target.url))
    injected, _, reverted = agent(order).rest()
    until(lambda: len(target.lines("received")) >= reverted.did["sent"])
    since_monotonic_s = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
    came_s = [line["received_ns"] / 1e9 + since_monotonic_s for line in target.lines("received")]
    assert len(came_s) <= 20 * (reverted.at_s - injected.at_s) + 21
    early = [injected.at_s + index / 20 - at_s for index, at_s in enumerate(came_s)]
    assert max(early) < 1.0, "nobody comes before his time; the event is told after they were let go"
