"""Requests without features, as a raw server has them."""

import json

import pytest

ROW = {"age": 41, "country": "DE", "score": 0.5}


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROW) + "\n")
    return str(path)


@pytest.mark.parametrize("how", ["null", "drop"])
def test_named_features_are_gone_from_every_request_and_the_others_stay(
    agent, make_order, make_aim, witness, until, rows, how
):
    server = witness(200)
    options = {"rate": "40/s", "how": how, "features": ["score"], "rows": "rows.jsonl", "answers": ["4xx"]}
    aim = make_aim(server.url, protocol="json-http", files={"rows.jsonl": rows})
    one = agent(make_order(None, fault="null-features", options=options, aim=aim))
    one.until_event("verified")
    until(lambda: sum(visitor.whole for visitor in server.visitors) >= 5)
    one.stop.write_text("enough")
    did = one.rest()[-1].did
    until(lambda: sum(visitor.whole for visitor in server.visitors) >= did["sent"] > 0)
    bodies = [json.loads(visitor.body) for visitor in server.visitors if visitor.whole]
    left = {"age": 41, "country": "DE"}
    assert all(body == ({**left, "score": None} if how == "null" else left) for body in bodies)
    assert did["nulled" if how == "null" else "dropped"] >= did["sent"]
    assert did["unexpected.request.200"] == did["answers.200"] > 0


def test_inputs_are_made_up_from_what_a_v2_target_says_of_them(agent, make_order, make_aim, demo, until):
    target = demo()
    order = make_order(
        None,
        fault="null-features",
        for_s=1.0,
        options={"rate": "20/s", "answers": ["4xx"]},
        aim=make_aim(target.url, protocol="kserve-v2"),
    )
    reverted = agent(order).rest()[-1]
    assert reverted.took_effect
    assert reverted.did["answers.400"] > 0
    assert not [name for name in reverted.did if name.startswith("unexpected.")]
    until(lambda: len(target.lines("received")) >= reverted.did["sent"])


def test_a_target_without_rows_is_refused_in_words(agent, make_order, make_aim, witness):
    aim = make_aim(witness(200).url, protocol="json-http")
    order = make_order(None, fault="null-features", options={"rate": "1/s"}, aim=aim)
    failed = agent(order).rest()[-1]
    assert failed.what == "failed"
    assert "needs rows to send: say `with: {rows: PATH}`" in failed.why


def test_features_that_the_rows_do_not_have_are_said_before_anything_is_sent(
    agent, make_order, make_aim, witness, rows
):
    options = {"rate": "1/s", "features": ["shoe_size"], "rows": rows}
    server = witness(200)
    aim = make_aim(server.url, protocol="json-http")
    order = make_order(None, fault="null-features", for_s=2.0, options=options, aim=aim)
    (failed,) = agent(order).rest()
    assert failed.what == "failed"
    assert "no features shoe_size; there are: age, country, score" in failed.why
    assert not server.visitors
