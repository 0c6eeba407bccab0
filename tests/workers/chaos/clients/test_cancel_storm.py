"""Requests that are all cancelled at once, as the demo target's own log has them."""


def test_all_that_is_begun_is_cancelled_at_one_moment(agent, make_order, make_aim, demo, until, counted):
    target = demo("--ttft", "60s")
    options = {"requests": 40, "after": "3s", "every": "30s"}
    one = agent(
        make_order(None, fault="cancel-storm", options=options, aim=make_aim(target.url, timeout_s=60.0))
    )
    one.until_event("injected")
    until(lambda: len(target.lines("received")) == 40)
    assert one.until_event("verified").took_effect
    until(lambda: len(target.lines("disconnected")) == counted(one).get("cancelled") == 40)
    one.stop.write_text("enough")
    reverted = one.rest()[-1]
    assert reverted.did["sent"] == reverted.did["cancelled"] == 40
    ended_ns = [line["answered_ns"] for line in target.lines("disconnected")]
    assert max(ended_ns) - min(ended_ns) < 3e9
    assert len(target.lines("received")) == 40
