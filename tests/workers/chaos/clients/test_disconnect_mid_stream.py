"""Clients that leave streams, as the demo target's own log has it."""

from collections import Counter


def test_clients_leave_after_their_tokens_and_the_targets_log_agrees(
    agent, make_order, make_aim, demo, until
):
    target = demo("--ttft", "5ms", "--gap", "20ms", "--tokens", "100000")
    options = {"rate": "20/s", "after_tokens": 3}
    order = make_order(
        None, fault="disconnect-mid-stream", for_s=1.5, options=options, aim=make_aim(target.url)
    )
    one = agent(order)
    injected = one.until_event("injected")
    assert (
        injected.touched[0] == f"target chat at {target.url}: 20 clients a second, each gone after 3 tokens"
    )
    assert one.event().took_effect
    reverted = one.rest()[-1]
    assert (reverted.what, reverted.took_effect) == ("reverted", True)
    until(lambda: len(target.lines("received")) >= reverted.did["sent"])
    until(lambda: len(target.lines("disconnected")) == len(target.lines("received")))
    received = target.lines("received")
    left = [line for line in target.lines("disconnected") if line["tokens"] >= 3]
    assert 3 <= reverted.did["left"] <= len(left)
    due = 20 * (reverted.at_s - injected.at_s)
    assert reverted.did["left"] <= reverted.did["sent"] <= len(received) <= due + 5
    names = Counter(line["id"] for line in received)
    assert set(names.values()) == {1}
    assert set(names) <= {f"storm/{index}/1" for index in range(int(due) + 6)}


def test_a_target_whose_answers_are_no_streams_is_refused(agent, make_order, make_aim, witness):
    aim = make_aim(witness(200).url, protocol="json-http")
    order = make_order(None, fault="disconnect-mid-stream", options={"rate": "5/s"}, aim=aim)
    (failed,) = agent(order).rest()
    assert failed.what == "failed"
    assert "sends its answers whole: use cancel-storm" in failed.why


def test_clients_that_hear_no_stream_have_no_effect(agent, make_order, make_aim, witness):
    server = witness(503)
    order = make_order(
        None, fault="disconnect-mid-stream", for_s=1.0, options={"rate": "20/s"}, aim=make_aim(server.url)
    )
    verified, reverted = agent(order).rest()[-2:]
    assert verified.took_effect is False
    assert "not left in the middle of a stream yet" in verified.why
    assert reverted.took_effect is False
    assert reverted.did["answers.503"] > 0
    assert "left" not in reverted.did
