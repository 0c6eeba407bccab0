import os

import pytest

from orchestrator.campaign.load import load_campaign_text
from orchestrator.campaign.overrides import apply

FIRST = "phases[0].activities[0]"


@pytest.mark.parametrize(
    ("one", "place", "value"),
    [
        ("seed=5", ("seed",), 5),
        ("seed= 5 ", ("seed",), 5),
        ("description=a: b # c", ("description",), "a: b # c"),
        ('description="5"', ("description",), "5"),
        ("description='true'", ("description",), "true"),
        ("description=a=b", ("description",), "a=b"),
        ("list[1]=x", ("list",), [1, "x"]),
        ("list=[a, {b: 1e-3}]", ("list",), ["a", {"b": 0.001}]),
        ("deep.er.est=yes", ("deep",), {"er": {"est": "yes"}}),
        ("empty.key=1", ("empty",), {"key": 1}),
        ("items[0].name=new", ("items",), [{"name": "new"}]),
    ],
)
def test_a_value_is_set_where_the_path_points(one, place, value):
    document = {"list": [1, 2], "empty": None, "items": [{"name": "old"}]}
    assert apply(document, (one,))[1] == ()
    assert document[place[0]] == value


@pytest.mark.parametrize("value", ["", "null", "~"])
def test_no_value_takes_the_key_away(value):
    document = {"a": 1, "b": {"c": 2}}
    assert apply(document, (f"b.c={value}", f"nowhere={value}"))[1] == ()
    assert document == {"a": 1, "b": {}}


def test_a_url_takes_the_place_of_a_demo_and_the_other_way_round(small):
    url = "targets.chat.url=http://127.0.0.1:9"
    demo = small.replace("url: http://127.0.0.1:8000", "demo: {}")
    assert load_campaign_text(demo, sets=(url,)).campaign.targets["chat"].demo is None
    target = load_campaign_text(small, sets=("targets.chat.demo={tokens: 3}",)).campaign.targets["chat"]
    assert (target.url, target.demo.tokens) == (None, 3)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        ("phases.only.name=x", "phases is a list: say phases[0]"),
        ("phases[0].requires[0]=x", "set it whole: phases[0].requires=[...]"),
        ("targets[0].url=x", "targets is no list"),
        ("phases[1].name=x", "[1] is beyond the list, which has 1"),
        ("phases[0].name.x=1", "phases[0].name is 'only', no mapping"),
        ("phases[-1].name=x", "is no path, e.g."),
        (f"{FIRST}.slos=[", "a [ that is never closed"),
        ("targets.other.url=http://x", "targets.other.protocol: is missing"),
        ("targets.other.url=http://x", "set by --set"),
        (f"{FIRST}.slos[0]=p99(latency) < 1s over 1d", "longer than the judged span"),
    ],
)
def test_what_cannot_be_set_is_told_in_words_that_help(problems, small, one, words):
    found = problems(small, (one,))
    assert found
    assert all(problem.line == 0 for problem in found)
    assert any(words in str(problem) for problem in found), [str(problem) for problem in found]


def test_a_value_that_is_no_text_is_told(problems, small):
    found = problems(small, sets=(os.fsdecode(b"description=bad\xff"),))
    assert "--set description=bad?: holds bytes that are no UTF-8" in str(found)


def test_sets_are_applied_in_order_and_all_that_are_wrong_are_told(problems, small):
    assert problems(small, ("seed=x", "seed=4")) == ()
    assert len(problems(small, ("seed", "phases[7].name=x", "on_lost_coordinator=5"))) == 3
