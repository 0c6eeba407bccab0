"""The same request several times, as the demo target's own log has it."""

from collections import Counter

import pytest

from workers.chaos.contract import build
from workers.contract.errors import FaultError


def test_every_request_comes_as_often_as_asked_with_one_id(agent, make_order, make_aim, demo, until):
    target = demo("--ttft", "1ms", "--gap", "1ms", "--tokens", "2")
    order = make_order(
        None,
        fault="duplicate",
        options={"rate": "20/s", "copies": 3},
        aim=make_aim(target.url, shard=1, of=2, first=100, number=4),
    )
    one = agent(order)
    one.until_event("verified")
    until(lambda: len(target.lines("answered")) >= 30)
    one.stop.write_text("enough")
    reverted = one.rest()[-1]
    until(lambda: len(target.lines("received")) >= reverted.did["sent"])
    times = Counter(line["id"] for line in target.lines("received"))
    assert "storm/101/4" in times
    assert set(times) <= {f"storm/{101 + 2 * number}/4" for number in range(400)}
    assert max(times.values()) == 3
    assert sum(count == 3 for count in times.values()) >= 5, "the end may cut the last ones short"
    assert reverted.did["repeated"] <= sum(count - 1 for count in times.values())
    assert "answered_differently" not in reverted.did


def test_copies_that_come_later_than_the_time_out_are_no_failure_of_the_target(
    agent, make_order, make_aim, witness, until
):
    server = witness(200)
    aim = make_aim(server.url, timeout_s=2.0)
    options = {"rate": "5/s", "copies": 3, "apart": "1500ms"}
    one = agent(make_order(None, fault="duplicate", options=options, aim=aim))

    def times():
        return Counter(visitor.header("x-shakeout-id") for visitor in server.visitors if visitor.whole)

    until(lambda: 3 in times().values())
    one.stop.write_text("enough")
    did = one.rest()[-1].did
    assert did["repeated"] >= 2
    assert "failed.timeout" not in did


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rate": "1500/s"}, "duplicate would make 3000 requests a second; one fault makes at most 2000"),
        ({"rate": "1/s", "copies": 3, "apart": "40s"}, "the last of 3 copies would come 80s after the first"),
    ],
)
def test_more_copies_than_clients_can_send_or_hold_are_refused(options, words):
    with pytest.raises(FaultError, match=words):
        build("duplicate", options)
