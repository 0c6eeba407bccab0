"""One row a rule: what is changed in a small valid campaign, and what must be said of it, at which path."""

import json

import pytest

from orchestrator.campaign.checks.offered import peak_together_per_s
from orchestrator.campaign.load import load_campaign_text
from orchestrator.campaign.models import LoadActivity

STEADY = "phases[0].activities[0]"


def test_the_small_campaign_is_right(edited, said):
    assert said(edited()) == []


LOAD_ROWS = [
    ({"target": "chap"}, "target", "did you mean chat"),
    ({"target": None}, "target", "a load activity needs it"),
    ({"duration": None}, "duration", "is missing"),
    ({"duration": "-5s"}, "duration", "negative"),
    ({"duration": 30}, "duration", "say 30s"),
    ({"data": None}, "data", "says what to send"),
    (
        {"data": {"file": "x.jsonl", "tags": ["a"]}, "slos": ["success_rate > 9% for b=x"]},
        "slos[0]",
        "not among the data",
    ),
    ({"at": "5s"}, "at", "kinds that have it: chaos"),
    ({"watch": ["latency"]}, "watch", "kinds that have it: soak"),
    ({"warmup": "30s"}, "warmup", "leaves nothing to judge"),
    ({"locustfile": "x.py"}, "locustfile", "needs process: closed"),
    ({"shards": 0}, "shards", "auto or a whole number"),
    ({"max_in_flight": 0}, "max_in_flight", "at least 1"),
    ({"samples": "few"}, "samples", "none, all or a percentage"),
    ({"arrivals": {"process": "poisson"}}, "arrivals", "exactly one of rate and stages"),
    ({"arrivals": {"process": "gamma", "rate": "5/s"}}, "arrivals.burstiness", "process gamma needs it"),
    ({"arrivals": {"process": "closed"}}, "arrivals.users", "process closed needs it"),
    (
        {"arrivals": {"process": "closed", "users": 2, "rate": "5/s"}},
        "arrivals.rate",
        "no key of process closed",
    ),
    ({"arrivals": {"process": "trace"}, "duration": None}, "arrivals.trace", "process trace needs it"),
    ({"arrivals": {"process": "poisson", "rate": "-1/s"}}, "arrivals.rate", "negative"),
    ({"arrivals": {"process": "poisson", "rate": "5/s", "ramp": "31s"}}, "arrivals.ramp", "longer than"),
    ({"arrivals": {"process": "poisson", "rate": 5}}, "arrivals.rate", "say 5/s"),
    ({"slos": "success_rate > 9%"}, "slos", "must be a list"),
    ({"duration": "1,5s"}, "duration", "no comma: say 1.5s"),
    ({"duration": "30sec"}, "duration", "say 30s"),
    ({"duration": "1m30s"}, "duration", "one unit: say 90s"),
    ({"arrivals": {"process": "poisson", "rate": "5rps"}}, "arrivals.rate", "say 5/s"),
    ({"arrivals": {"process": "gamma", "rate": "5/s", "burstiness": 0}}, "arrivals.burstiness", "above 0 ("),
    ({"arrivals": "poisson"}, "arrivals", "e.g. {process: poisson, rate: 10/s}"),
    ({"data": 5}, "data", "a file's path, or a mapping"),
    ({"data": {}}, "data.file", "or synthetic"),
    ({"data": {"synthetc": {}}}, "data.synthetc", "did you mean synthetic?"),
    ({"data": {"file": "x", "synthetic": {"input_tokens": 1, "output_tokens": 1}}}, "data.file", "beside"),
    (
        {"data": {"synthetic": {"input_tokens": 9, "output_tokens": 1, "shared_prefix": 10}}},
        "data.synthetic.shared_prefix",
        "longer than the longest prompt, 9",
    ),
    ({"x-mine": 1}, "x-mine", "stand at the top level"),
    ({"split": {"chat": "50%"}}, "split", "say 100% in all"),
    ({"for_": "2s"}, "for_", "unknown key"),
    ({"slos": ["p99 < 1s"]}, "slos[0]", "say p99(latency)"),
    ({"slos": ["p99(lag) < 1s"]}, "slos[0]", "the generator's doing"),
    ({"slos": ["max(throughput) > 1/s"]}, "slos[0]", "throughput without brackets"),
    ({"slos": ["p99(latency) =< 1s"]}, "slos[0]", "say <= or >="),
    ({"slos": ["p99(latency) < 1,5s"]}, "slos[0]", "say 1.5s"),
    ({"slos": ["p99(latency) < 1.5.5s"]}, "slos[0]", "not a number with a unit"),
    ({"slos": ["rate > 1/s and rate < 2/s"]}, "slos[0]", "one claim a line"),
    ({"slos": ["p99(latency) < 1s during x"]}, "slos[0]", "no fault or stage 'x'"),
    ({"slos": ["p99(latency) < 1s over 1m"]}, "slos[0]", "longer than the judged span"),
    ({"slos": ["p99(latency) < 1s for a=b"]}, "slos[0]", "made-up prompts have no tag"),
    ({"slos": ["pass_rate > 9%"]}, "slos[0]", "kinds: regression"),
    ({"slos": ["max_rate > 9/s"]}, "slos[0]", "kinds: search"),
    ({"slos": ["drift(psi, x) < 1"]}, "slos[0]", "drift needs a regression"),
    ({"slos": ["burn_rate < 6 over 10s"]}, "slos[0]", "has none"),
    ({"slos": ["success_rate > 9%", "success_rate > 8%", "burn_rate < 6 over 9s"]}, "slos[2]", "has 2"),
    ({"slos": ["cost_per_1k_requests < $1"]}, "slos[0]", "needs `prices`"),
    ({"slos": ["joules_per_token < 1J"]}, "slos[0]", "no source of energy"),
    ({"slos": ["mean(host.cpu) < 50%"]}, "slos[0]", "sources: [host]"),
    ({"slos": ["alert(X) never fires"]}, "slos[0]", "no target is a monitor"),
    ({"slos": ["success_rate >= 100%"]}, "slos[0]", "use never"),
    ({"slos": ["goodput(ttft < 1s", "tpot < 1s) > 9%"]}, "slos[0]", "a comma splits"),
    ({"where": {"gpus": "many"}}, "where.gpus", "at least so many"),
    ({"where": {"at_most": "0"}}, "where.at_most", "bare number"),
    ({"where": {"label": "a b"}}, "where.label", "no label"),
    ({"name": "Steady State"}, "name", "say steady-state"),
]


@pytest.mark.parametrize(("change", "path", "words"), LOAD_ROWS)
def test_a_wrong_load_is_told(edited, said, change, path, words):
    found = said(edited(activity=change))
    assert [one for one in found if one[0] == f"{STEADY}.{path}" and words in one[1]], found


def test_stages_have_their_own_rules(edited, said):
    stages = [
        {"rate": "1/s", "for": "5s", "ramp": "6s", "name": "a"},
        {"rate": "1/s", "for": "5s", "name": "a"},
    ]
    arrivals = {"process": "poisson", "stages": stages, "ramp": "1s"}
    paths = [path for path, _ in said(edited(activity={"arrivals": arrivals}))]
    expected = ["duration", "arrivals.ramp", "arrivals.stages[0].ramp", "arrivals.stages[1].name"]
    assert sorted(paths) == sorted(f"{STEADY}.{one}" for one in expected)


TARGET_ROWS = [
    ({"protocol": "openai-chap"}, "protocol", "did you mean openai-chat"),
    ({"url": None}, "", "has neither"),
    ({"url": "x"}, "url", "must begin with http"),
    ({"url": "http://h:123456"}, "url", "no number up to 65535"),
    ({"url": "http://${env:H}:${HOME}"}, "url", "not a reference"),
    ({"protocol": None}, "protocol", "a monitor has prometheus"),
    ({"protocol": "json-http", "model": None, "body": "{{ a"}, "body", "no Jinja2 template"),
    ({"protocol": "json-http", "model": None, "method": "post"}, "method", "did you mean POST?"),
    ({"demo": {}}, "", "has both"),
    ({"protocol": "kserve-v2-grpc", "url": None, "demo": {}}, "demo", "kserve-v2 asks the demo target"),
    ({"url": "chat:8000"}, "url", "must begin with http"),
    ({"url": "http://"}, "url", "names no host"),
    ({"url": "${env:}"}, "url", "not a reference"),
    ({"url": "${file:/etc/key}"}, "url", "its NAME of A-Z"),
    ({"model": None}, "model", "openai-chat needs it"),
    ({"model": "${env:M}"}, "model", "only in url, headers, tls, announce"),
    ({"headers": {"Host": "x"}}, "headers.Host", "by the client itself"),
    ({"headers": {"x-n": 1}}, "headers.x-n", 'write it in quotes: "1"'),
    ({"version": "2"}, "version", "protocols that have it: kserve-v2"),
    ({"binary": True}, "binary", "protocols that have it: kserve-v2"),
    ({"stream": "yes"}, "stream", "say true"),
    ({"timeout": "0s"}, "timeout", "longer than 0s"),
    ({"tls": {"insecure": True}}, "tls.insecure", "unknown key"),
    ({"prometheus": "http://x"}, "prometheus", "no key of a target"),
    ({"rate_limit": "10/s"}, None, "up to 20/s are offered"),
]


@pytest.mark.parametrize(("change", "path", "words"), TARGET_ROWS)
def test_a_wrong_target_is_told(edited, said, change, path, words):
    found = said(edited(target=change))
    place = f"{STEADY}.arrivals" if path is None else f"targets.chat.{path}".rstrip(".")
    assert [one for one in found if one[0] == place and words in one[1]], found


WINDOW = {"from": "09:30", "to": "16:00", "timezone": "Europe/Berlin"}
TOP_ROWS = [
    ({"sed": 1}, "sed", "did you mean seed"),
    ({"seed": -1}, "seed", "at least 0"),
    ({"seed": 2**63}, "seed", "below"),
    ({"seed": "7"}, "seed", "whole number"),
    ({"phases": []}, "phases", "needs at least 1"),
    ({"targets": {}}, "targets", "needs at least 1"),
    ({"abort_if": ["success_rate < 9% for a=b", "pass_rate < 9%"]}, "abort_if[1]", "when its activity ends"),
    ({"slos": ["pass_rate > 9%"]}, "slos[0]", "not among the campaign's"),
    ({"slos": ["p99(latency) < 1s over 31s"]}, "slos[0]", "the judged span of steady, 30s"),
    ({"prices": {"machine_hour": 1, "currency": "eur"}}, "prices.currency", "say EUR"),
    ({"gameday": {"announce": "boss"}}, "gameday.announce", "must begin with http"),
    ({"prices": {"kwh": 1}}, "prices.machine_hour", "is missing"),
    ({"prices": {"machine_hour": -1}}, "prices.machine_hour", "at least 0"),
    ({"gameday": {"window": WINDOW | {"from": 930}}}, "gameday.window.from", "09:30"),
    ({"gameday": {"window": WINDOW | {"to": "09:00"}}}, "gameday.window.to", "ends before it begins"),
    ({"gameday": {"window": WINDOW | {"timezone": "Mars"}}}, "gameday.window.timezone", "no time zone"),
    ({"gameday": {"window": WINDOW | {"days": ["monday"]}}}, "gameday.window.days[0]", "one of mon"),
    ({"gameday": {"window": WINDOW, "blackout": ["2026-13-01"]}}, "gameday.blackout[0]", "FIRST..LAST"),
    ({"gameday": {"approvals": {"only": {"by": "boss"}}}}, "gameday.approvals.only.by", "no role"),
    (
        {"gameday": {"approvals": {"x": {"by": "b"}}, "roles": {"b": "b@c"}}},
        "gameday.approvals.x",
        "no phase",
    ),
    ({"priority": 11}, "priority", "at most 10"),
    ({"description": "${env:A}"}, "description", "a literal"),
]


@pytest.mark.parametrize(("change", "path", "words"), TOP_ROWS)
def test_a_wrong_key_at_the_top_is_told(edited, said, change, path, words):
    found = said(edited(top=change))
    assert [one for one in found if one[0] == path and words in one[1]], found


def test_money_must_be_in_the_campaigns_currency(edited, said):
    top = {"prices": {"machine_hour": 1, "currency": "EUR"}}
    slos = {"slos": ["cost_per_1k_tokens < $0.02"]}
    assert "write 0.02 EUR" in said(edited(activity=slos, top=top))[0][1]
    assert said(edited(activity={"slos": ["cost_per_1k_tokens < 0.02 EUR"]}, top=top)) == []


def test_phases_require_only_earlier_ones(edited, said):
    document = edited()
    document["phases"].append(document["phases"][0] | {"name": "later", "requires": ["only", "later", "x"]})
    found = said(document)
    assert [path for path, _ in found] == ["phases[1].requires[1]", "phases[1].requires[2]"]


def test_a_monitor_is_asked_and_never_loaded(edited, said):
    document = edited(activity={"slos": ["alert(X) never fires"]})
    document["targets"]["alerts"] = {"prometheus": "http://127.0.0.1:9090"}
    assert said(document) == []
    document["phases"][0]["activities"][0]["target"] = "alerts"
    document["targets"]["more"] = {"alertmanager": "http://127.0.0.1:9093"}
    paths = [path for path, _ in said(document)]
    assert paths == ["targets.more", f"{STEADY}.target"]


def test_errors_in_one_activity_do_not_hide_each_other(edited, said):
    change = {
        "durration": "5s",
        "arrivals": {"process": "poisson", "rate": 20},
        "target": "nope",
        "warmup": 3,
    }
    paths = {path.removeprefix(f"{STEADY}.") for path, _ in said(edited(activity=change))}
    assert paths == {"durration", "arrivals.rate", "target", "warmup"}


def test_a_literal_brace_after_a_dollar_is_written_with_two(edited):
    document = edited(top={"description": "cost $${x}"}, target={"headers": {"a": "Bearer ${env:TOKEN}"}})
    campaign = load_campaign_text(json.dumps(document)).campaign
    assert campaign.description == "cost ${x}"
    assert campaign.targets["chat"].headers == {"a": "Bearer ${env:TOKEN}"}


def test_what_runs_together_is_summed_at_the_worst_moment():
    def load(stages):
        arrivals = {"process": "poisson", "stages": stages}
        return LoadActivity.model_validate({"name": "a", "kind": "load", "target": "t", "arrivals": arrivals})

    rising = load([{"rate": "10/s", "for": "10s", "ramp": "10s"}, {"rate": "1/s", "for": "10s"}])
    falling = load([{"rate": "20/s", "for": "5s"}, {"rate": "2/s", "for": "20s"}])
    assert peak_together_per_s([rising, falling]) == 25
    assert peak_together_per_s([]) == 0
