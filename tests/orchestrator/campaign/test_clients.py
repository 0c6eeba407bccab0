import pytest
import yaml

from orchestrator.campaign.load import load_campaign_text
from orchestrator.client_specs import retries_of, sessions_of, turn_groups
from workers.contract import behaviour


@pytest.fixture
def wrong(edited, problems, tmp_path):
    """What is wrong with the small campaign once its activity and target are so."""
    (tmp_path / "mine.py").write_text("from locust import HttpUser\n\n\nclass A(HttpUser):\n    pass\n")
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "empty.py").write_text("x = 1\n")

    def find(activity, target=None):
        text = yaml.safe_dump(edited(activity=activity, target=target), sort_keys=False)
        return [f"{one.path}: {one.message} ({one.hint})" for one in problems(text)]

    return find


CODE = {"locustfile": "mine.py", "data": None, "arrivals": {"process": "closed", "users": 3}}


@pytest.mark.parametrize(
    ("retries", "said"),
    [
        ({"on": ["http_5x"]}, "'http_5x' is no outcome that can be tried again (did you mean http_5xx?)"),
        ({"on": ["ok"]}, "'ok' is no outcome that can be tried again"),
        ({"on": ["unsent"]}, "'unsent' is no outcome that can be tried again"),
        ({"on": []}, "needs at least 1"),
        ({"attempts": 0}, "must be at least 1"),
        ({"attempts": 1}, "1 try is no retry"),
        ({"attempts": 101}, "must be at most 100"),
        ({"backoff": "10s", "max_backoff": "1s"}, "is longer than max_backoff"),
        ({"backoff": 3}, "say 3s"),
        ({"jitter": "ful"}, "must be one of full, equal, none"),
        ({"budget": 20}, "20%"),
        ({"breaker": {"window": "1s"}}, "failures: is missing"),
        ({"breaker": {"failures": "0%"}}, "a breaker at 0% never closes"),
        ({"tries": 3}, "unknown key"),
        ({"on": ["timeout"], "within": "1s"}, "within: leaves a try that timed out no other"),
    ],
)
def test_retries_that_make_no_sense_are_named(wrong, retries, said):
    found = wrong({"retries": retries})
    assert len(found) == 1
    assert found[0].startswith("phases[0].activities[0].retries")
    assert said in found[0]


@pytest.mark.parametrize(
    ("sessions", "said"),
    [
        ({"turns": 0}, "turns: must be at least 1"),
        ({"turns": 1001}, "turns: must be at most 1000"),
        ({"think": "1s"}, "turns: is missing"),
        ({"turns": 3, "think": 1}, "think"),
    ],
)
def test_sessions_that_make_no_sense_are_named(wrong, sessions, said):
    (found,) = wrong({"sessions": sessions})
    assert said in found


def test_only_a_target_that_talks_holds_conversations(wrong):
    found = wrong(
        {"sessions": {"turns": 2}, "data": "mine.py"},
        target={"protocol": "json-http", "model": None},
    )
    assert any("sessions: needs a target that talks (openai-chat), chat is json-http" in one for one in found)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"arrivals": {"process": "poisson", "rate": "1/s"}}, "needs process: closed"),
        ({"data": {"synthetic": {"input_tokens": 1, "output_tokens": 1}}}, "data: stands beside locustfile"),
        ({"retries": {}}, "retries: stands beside locustfile"),
        ({"sessions": {"turns": 2}}, "sessions: stands beside locustfile"),
        ({"max_in_flight": 3}, "max_in_flight: stands beside locustfile"),
        ({"samples": "all"}, "samples: stands beside locustfile"),
        ({"locustfile": "../mine.py"}, "must be a path inside the campaign file's folder"),
        ({"locustfile": "s3://x/mine.py"}, "must be a path inside the campaign file's folder"),
        ({"locustfile": "none.py"}, "none.py is missing"),
        ({"locustfile": "broken.py"}, "broken.py, line 1 is no Python: invalid syntax"),
        ({"locustfile": "empty.py"}, "empty.py has no class, so it has no users"),
        ({"slos": ["p99(latency) < 1s for kind=a"]}, "requests of a locustfile have no tag 'kind'"),
    ],
)
def test_what_does_not_go_with_a_locustfile_is_named(wrong, more, said):
    assert any(said in one for one in wrong({**CODE, **more}))


def test_a_locustfile_may_not_load_a_target_with_a_ceiling(wrong):
    (found,) = wrong(CODE, target={"rate_limit": "5/s"})
    assert "rate_limit, which users of a locustfile cannot be held to" in found


def test_a_locustfile_alone_is_right(wrong):
    assert (
        wrong({**CODE, "slos": ['p99(latency) < 1s for name="/v1/x"', "never(timeout) for method=GET"]}) == []
    )


def test_turns_can_be_judged_one_by_one(wrong):
    assert wrong({"sessions": {"turns": 2}, "slos": ["p99(ttft) < 1s for turn=2"]}) == []
    (found,) = wrong({"sessions": {"turns": 2}, "slos": ["p99(ttft) < 1s for turn=3"]})
    assert "no request has turn=3 (turns are 1 to 2)" in found


def test_conversations_are_held_against_the_targets_ceiling_with_all_their_turns(wrong):
    assert wrong({}, target={"rate_limit": "20/s"}) == []
    (found,) = wrong({"sessions": {"turns": 3}}, target={"rate_limit": "20/s"})
    assert "up to 60/s are offered" in found


def test_where_timeouts_are_tried_again_each_try_has_one_unless_within_says_otherwise(small):
    (activity,) = (
        load_campaign_text(small + "        retries: {on: [timeout], attempts: 4}\n")
        .campaign.phases[0]
        .activities
    )
    assert retries_of(activity.retries, timeout_s=2.0).within_s == 8.0


def test_what_is_left_out_is_filled_in(small):
    text = small + "        retries: {}\n        sessions: {turns: 30}\n"
    (activity,) = load_campaign_text(text).campaign.phases[0].activities
    assert retries_of(activity.retries, timeout_s=60.0) == behaviour.Retries(
        on=("connect", "reset", "http_429", "http_502", "http_503", "http_504"),
        attempts=3, backoff_s=0.1, max_backoff_s=5.0, jitter="full", within_s=60.0,
    )  # fmt: skip
    assert sessions_of(activity.sessions) == behaviour.Sessions(30, 0.0)
    assert turn_groups(activity.sessions) == tuple(("turn", str(turn)) for turn in range(1, 21))
    assert (retries_of(None, timeout_s=1.0), sessions_of(None), turn_groups(None)) == (None, None, ())
