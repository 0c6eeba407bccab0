"""Very long prompts, as a raw server has them."""

import json


def test_each_prompt_has_as_many_words_as_were_asked_for(agent, make_order, make_aim, witness, until):
    server = witness(413)
    options = {"rate": "20/s", "tokens": 50_000, "answers": ["413"]}
    one = agent(make_order(None, fault="oversize-prompt", options=options, aim=make_aim(server.url)))
    one.until_event("verified")
    until(lambda: sum(visitor.whole for visitor in server.visitors) >= 3)
    one.stop.write_text("enough")
    did = one.rest()[-1].did
    until(lambda: sum(visitor.whole for visitor in server.visitors) >= did["sent"] > 0)
    whole = [visitor for visitor in server.visitors if visitor.whole]
    for visitor in whole[:3]:
        (message,) = json.loads(visitor.body)["messages"]
        assert len(message["content"].split()) == 50_000
    assert "unexpected.request.413" not in did


def test_a_target_that_takes_no_prompts_is_refused(agent, make_order, make_aim):
    order = make_order(
        None,
        fault="oversize-prompt",
        options={"rate": "1/s", "tokens": 10},
        aim=make_aim("http://127.0.0.1:9", protocol="kserve-v2"),
    )
    (failed,) = agent(order).rest()
    assert "needs a target that takes prompts" in failed.why
