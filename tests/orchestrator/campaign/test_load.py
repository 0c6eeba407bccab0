import copy
import json
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.campaign.load import load_campaign, load_campaign_text
from orchestrator.campaign.models import Campaign
from orchestrator.errors import CampaignFileError

FIVE_WRONG = """\
campaign: five
targets:
  chat:
    protocol: openai-chat
    model: m
    url: http://127.0.0.1:8000
    timout: 5s
phases:
  - name: only
    activities:
      - name: steady
        kind: load
        target: chat
        arrivals: {process: poisson, rate: 20}
        duration: 30s
        data: missing.jsonl
        slos:
          - p99(latency) < 250ms during nothing
          - goodput(ttft < 1s, tpto < 50ms) >= 90%
"""


@pytest.mark.parametrize("name", ["quickstart", "prelaunch", "gameday"])
def test_the_examples_validate_as_they_stand(examples, name):
    loaded = load_campaign(examples / f"{name}.yaml")
    assert isinstance(loaded.campaign, Campaign)
    assert loaded.warnings == ()


def test_five_errors_are_all_told_with_line_column_and_path(problems):
    found = [(one.line, one.column, one.path) for one in problems(FIVE_WRONG)]
    assert found == [
        (7, 5, "targets.chat.timout"),
        (14, 38, "phases[0].activities[0].arrivals.rate"),
        (16, 9, "phases[0].activities[0].data"),
        (18, 13, "phases[0].activities[0].slos[0]"),
        (19, 32, "phases[0].activities[0].slos[1]"),
    ]


def test_a_problem_reads_like_a_compilers(problems):
    lines = ["c.yaml" + str(one).partition("/c.yaml")[2] for one in problems(FIVE_WRONG)]
    assert lines[1] == (
        "c.yaml:14:38: phases[0].activities[0].arrivals.rate: a bare number has no unit (say 20/s)"
    )


def test_values_are_held_in_base_units(examples):
    campaign = load_campaign(examples / "quickstart.yaml").campaign
    peak, hang = campaign.phases[1].activities
    assert (peak.arrivals.rate, peak.arrivals.ramp, peak.duration, peak.warmup) == (60, 3, 30, 3)
    assert (hang.at, hang.for_) == (15, 2)
    assert campaign.targets["chat"].demo.ttft == 0.04
    assert campaign.seed == 7
    assert (campaign.validity.achieved, campaign.validity.lag_p99) == (0.99, 0.01)


def test_a_load_on_a_demo_target_without_data_sends_made_up_prompts(examples):
    soak = load_campaign(examples / "quickstart.yaml").campaign.phases[2].activities[0]
    assert (soak.data.synthetic.input_tokens, soak.data.synthetic.output_tokens) == (32, 24)


def test_set_replaces_values_and_reads_units(examples):
    sets = ("phases[1].activities[0].duration=5s", "targets.chat.demo.ttft=1ms", "x-new=1", "seed=8")
    campaign = load_campaign(
        examples / "quickstart.yaml", sets=(*sets, "phases[1].activities[1].at=1s")
    ).campaign
    assert campaign.phases[1].activities[0].duration == 5
    assert (campaign.targets["chat"].demo.ttft, campaign.seed) == (0.001, 8)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        ("seed", "has no ="),
        ("phases[9].name=x", "beyond the list"),
        ("phases..x=1", "is no path"),
        ("=1", "is no path"),
        ("campaign.x=1", "no mapping"),
        ("targets.chat.url=ftp://x", "must begin with http"),
        ("targets.chat.headers={a", "never closed"),
        ("phases[0].activities[0].durration=5s", "did you mean duration"),
    ],
)
def test_a_wrong_set_is_told_without_a_line(problems, small, one, words):
    (found,) = problems(small, (one,))
    assert (found.line, found.column) == (0, 0)
    assert words in str(found)


def test_text_without_a_folder_is_checked_without_its_files(examples):
    text = (examples / "gameday.yaml").read_text()
    assert load_campaign_text(text).campaign.campaign == "checkout-gameday"
    with pytest.raises(CampaignFileError, match=r"file traffic/chat\.jsonl is missing"):
        load_campaign_text(text, base=examples / "golden")


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(CampaignFileError, match="there is no such file"):
        load_campaign(tmp_path / "none.yaml")


def test_broken_utf_8_is_told_with_its_place(problems, small):
    (found,) = problems(small.encode() + b"description: \xff\n")
    assert (found.line, found.column) == (18, 14)


def test_a_campaign_that_nobody_judges_or_uses_is_warned_of(small):
    text = small.replace("        slos:\n          - success_rate >= 99%\n", "")
    text = text.replace("phases:", "  other: {protocol: json-http, url: http://127.0.0.1}\nphases:")
    said = [str(one) for one in load_campaign_text(text).warnings]
    assert len(said) == 2
    assert "no activity uses this target" in said[0]
    assert "measured, not judged" in said[1]


def test_keys_that_begin_with_x_are_a_home_for_anchors(small):
    text = "x-rates: &fast {process: constant, rate: 5/s}\n" + small
    text = text.replace("{process: poisson, rate: 20/s}", "*fast")
    assert load_campaign_text(text).campaign.phases[0].activities[0].arrivals.rate == 5


HEAVY = """
import sys, pathlib
from orchestrator.campaign.load import load_campaign
for file in pathlib.Path(sys.argv[1]).glob("*.yaml"):
    load_campaign(file)
heavy = {"locust", "gevent", "celery", "pandas", "scipy", "redis", "plotly", "numpy", "pyarrow", "jinja2"}
print(sorted(heavy & set(sys.modules)))
"""


def test_every_example_validates_with_no_locust_gevent_celery_or_pandas_loaded(examples):
    command = [sys.executable, "-c", HEAVY, str(examples)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        ["", "x", "5s", "5/s", "5%", "${env:A}", "${A}", "a(b", "p99(latency) < 1s", "load", "chaos"]
    ),
    st.sampled_from(["[]", "{}", "[1]", '{"a": 1}', '{"name": "x", "kind": "chaos"}']).map(json.loads),
)


def problems_of(text):
    try:
        load_campaign_text(text)
    except CampaignFileError as error:
        return error.problems
    return None


def places(document, path=()):
    yield path
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in items if isinstance(document, dict | list) else ():
        yield from places(value, (*path, key)) if isinstance(value, dict | list) else [(*path, key)]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_in_any_place_is_accepted_or_refused_with_words(example_documents, data):
    document = copy.deepcopy(data.draw(st.sampled_from(list(example_documents.values()))))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from([one for one in places(document) if one]))
        holder = document
        for step in path[:-1]:
            holder = holder[step]
        if data.draw(st.booleans()) and isinstance(holder, dict):
            holder[data.draw(st.sampled_from(["zz", "rate", "for", "target"]))] = data.draw(junk)
        holder[path[-1]] = data.draw(junk)
    found = problems_of(json.dumps(document))
    assert found is None or found
    assert all(one.message and one.line >= 1 for one in found or ())


def test_a_field_called_kind_is_no_activitys_kind(problems, small):
    golden = small.replace("kind: load", "kind: regression\n        golden: nowhere.jsonl")
    found = problems(f"{golden}        compare: {{name: x, kind: chaos}}\n")
    assert any("compare.kind" in one.path for one in found)
