"""CAMPAIGN.md key by key: one campaign that says every key, its defaults, and each key misspelt."""

import copy
import json
from datetime import date, time

import jsonschema
import pytest
from pydantic import BaseModel

from orchestrator.campaign.load import load_campaign_text
from orchestrator.campaign.schema import campaign_schema
from orchestrator.campaign.yaml_reader import plain, read
from orchestrator.errors import CampaignFileError

# Every key of CAMPAIGN.md, at least once; anchors, merges and x- keys as people use them.
EVERYTHING = r"""
x-lengths: &lengths {input_tokens: {uniform: [8, 64]}, output_tokens: {normal: {mean: 20, sd: 5}}}
campaign: everything
description: "costs $${much}"
seed: 9223372036854775807
slos: [p99(latency) < 10s]
abort_if: [success_rate < 50% over 10s]
on_lost_coordinator: 10s
place_within: 1m
validity: {achieved: 99%, coverage: 99%, lag_p99: 10ms, start_skew: 1s}
samples: none
prices: {machine_hour: 3.20, machines: 4, kwh: 1e-1, currency: EUR}
priority: -10
share_target: true
protect: [role=db]
comparison: {p99(latency): 10%, throughput: 5%}
gameday:
  window: {days: [mon, fri], from: 09:30, to: 16:00, timezone: Europe/Berlin}
  blackout: [2026-12-20..2027-01-04, 2026-05-01]
  roles: {boss: boss@example.com}
  approvals: {second: {by: boss, within: 15m}}
  runbook: [call them, {name: look, text: is it back, command: curl -s x, by: boss, phase: second}]
  announce: https://example.com/${env:HOOK}
  tabletop: true
  silence: [Down, {alert: Slow, matchers: ['team="a"', 'severity=~"page|ticket"']}]
targets:
  chat: &chat
    protocol: openai-chat
    url: http://u:${env:PASS}@${env:HOST}:${env:PORT}/v1
    model: m
    headers: {Authorization: "Bearer ${env:TOKEN}"}
    timeout: 1h
    tls: {ca: ca.pem, cert: cert.pem, key: key.pem, verify: false, server_name: chat}
    metrics: http://127.0.0.1:9/metrics
    rate_limit: 2160000/h
    stream: true
    extra_body: {top_k: null, nested: [1, {a: b}]}
    tokenizer: tokenizer.json
  kserve: {protocol: kserve-v2, url: http://127.0.0.1, model: m, version: "2", binary: true}
  json: {protocol: json-http, url: http://127.0.0.1, path: /p, method: PUT, body: '{"a": {{ a|tojson }}}'}
  demo:
    protocol: openai-chat
    model: demo
    demo: {ttft: 50ms, gap: 0s, tokens: 32, service_time: 5000us, error_rate: 0.5%}
  alerts: {prometheus: http://p:9090, alertmanager: http://a:9093, headers: {a: b}, tls: {verify: true}}
phases:
  - name: first
    activities:
      - name: shaped
        kind: load
        target: chat
        where: {label: [a, b/c=d], host: h, gpus: ">=1", at_most: 50%}
        slos:
          - p95(latency) < 1s during high
          - success_rate >= 99% for kind=long
          - cost_per_1k_tokens < 0.02 EUR
          - joules_per_token < 5J outside faults
        shards: auto
        warmup: 0s
        arrivals:
          process: gamma
          burstiness: 0.5
          stages: [{name: high, rate: 20/s, for: 1m, ramp: 30s}, {rate: 1/s, for: 20s}]
        data: {file: rows.jsonl, order: shuffle, at_end: stop, tags: [kind]}
        max_in_flight: 10
        samples: 10%
        split: {chat: 95%, demo: 5%}
        shadow: demo
        levels: [5/s, 10]
        sessions: {turns: 3, think: 1s}
        retries: {}
      - name: replayed
        kind: load
        target: json
        arrivals: {process: trace, trace: rows.jsonl, speed: 2}
        data: rows.jsonl
      - {name: users, kind: load, target: demo, duration: 30s, locustfile: user.py, shards: 1,
         arrivals: {process: closed, users: 3, think: 1s, ramp: 2s}}
      - {name: readings, kind: telemetry, every: 500ms, duration: 1m, where: {host: [h, i]},
         sources: [nvml, host, {prometheus: chat}, {process: {pidfile: /run/x.pid}}, {process: {port: 1}}]}
  - name: second
    requires: [first]
    activities:
      - name: steady
        kind: soak
        target: demo
        duration: 0.25d
        arrivals: &slow {process: constant, rate: 60/min, ramp: 1.5s}
        data: {synthetic: {<<: *lengths, shared_prefix: 4}}
        slos: [success_rate >= 99%, burn_rate < 6 over 6h and 30m, alert(Down) never fires]
        retries: {on: [http_5xx, timeout], attempts: 5, backoff: 50ms, max_backoff: 1s, jitter: equal,
                  within: 2h, budget: 20%, retry_after: false,
                  breaker: {failures: 50%, window: 20s, open_for: 3s}}
        watch: [latency, ttft, tpot, throughput, target.rss]
        trend: {gate: true, limit: 5%, memory_limit: 2%}
      - {name: hang, kind: chaos, fault: pause-process, at: 5s, for: 2s, target: demo, with: {},
         where: {at_most: 1}, match: {name: python, processes: all}, observe: [steady],
         expect: [recovery < 5s, success_rate >= 9%, alert(Down) fires within 2m]}
      - {name: kill, kind: chaos, fault: kill-process, at: 1h, match: {cmdline: "^x$", processes: 2}}
      - {name: slow, kind: chaos, fault: tcp-proxy, at: 2h, for: 1h, observe: [steady],
         with: {listen: 1, upstream: "h:1", latency: 1ms, jitter: 0s, rate: 1MiB/s, reset_after: 1kB}}
      - {name: many, kind: chaos, for: 10s, pause: 0s, order: random, hidden: true, on_generators: true,
         faults: [{fault: pause-process, for: 1s, with: {}, match: {port: 1}}, {fault: noop, for: 1s}]}
      - {name: beside, kind: chaos, order: parallel, faults: [{fault: noop, for: 1s, at: 1s}]}
      - {name: worse, kind: chaos, fault: gpu-memory, for: 1s, at: 20s, with: {size: 1MiB},
         intensity: [50%, 100%]}
      - {name: worst, kind: chaos, at: 30s,
         faults: [{fault: gpu-memory, for: 1s, with: {size: 1MiB}, intensity: [9%]}]}
  - name: third
    activities:
      - {name: knee, kind: search, target: chat, arrivals: {process: poisson}, find: max rate,
         between: [1/s, 2.5/s], step: 60s, settle: 10s, while: [p99(ttft) < 1s], tolerance: 5%,
         data: {synthetic: {input_tokens: {lognormal: {median: 9, sigma: 0}}, output_tokens:
         {histogram: rows.jsonl}}}, slos: [max_rate >= 1/s], samples: all, max_in_flight: 9, shards: 2}
      - {name: golden, kind: regression, target: chat, baseline: kserve, golden: g.jsonl, batches: auto,
         concurrency: 8, compare: {scores: {close: {rtol: 1e-5, atol: 0}}}, features: f.yaml, repeats: 2,
         limit: 9, slos: [pass_rate >= 100%, agreement >= 9%, "drift(psi, scores) < 0.2"]}
      - {name: broken, kind: regression, target: chat, golden: g.jsonl, mutate: [null-field, oversize],
         slos: [always(http_4xx) for mutation=oversize]}
      - {name: access, kind: regression, target: chat, probes: [no-credentials, wrong-credentials]}
      - {name: night, kind: batch, target: chat, data: rows.jsonl, submit: {a: 1}, done: x, output: [y]}
"""
# What stands below these is not the campaign's own.
FREE = (
    "extra_body",
    "with",
    "compare",
    "headers",
    "submit",
    "done",
    "output",
)
NAMED_BY_THE_USER = (
    ("targets",), ("gameday", "roles"), ("gameday", "approvals"), ("comparison",), ("split",)
)  # fmt: skip


def found(text):
    try:
        load_campaign_text(text)
    except CampaignFileError as error:
        said = {one.path: "" for one in error.problems}
        for one in error.problems:
            said[one.path] += f"{one.message} ({one.hint})\n"
        return said
    return {}


def key_paths(document, path=()):
    """Paths of all keys whose names CAMPAIGN.md fixes."""
    if isinstance(document, list):
        for index, value in enumerate(document):
            yield from key_paths(value, (*path, index))
    if isinstance(document, dict):
        for key, value in document.items():
            if not any(path[-len(one) :] == one for one in NAMED_BY_THE_USER) and key[:2] != "x-":
                yield (*path, key)
            if key not in FREE and key[:2] != "x-":
                yield from key_paths(value, (*path, key))


def models_in(value):
    if isinstance(value, BaseModel):
        yield value
        for name in type(value).model_fields:
            yield from models_in(getattr(value, name))
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else ():
        yield from models_in(one)


DOCUMENT = plain(read(EVERYTHING))
# Once for each key of each part; the first activity that has it stands for the others.
PATHS = list(
    {tuple(one for one in path if isinstance(one, str)): path for path in key_paths(DOCUMENT)}.values()
)


def test_a_campaign_that_says_every_key_is_right():
    loaded = load_campaign_text(EVERYTHING)
    assert loaded.campaign.description == "costs ${much}"
    window = loaded.campaign.gameday.window
    assert (window.from_, window.to) == (time(9, 30), time(16))
    assert loaded.campaign.gameday.blackout[1] == (date(2026, 5, 1), date(2026, 5, 1))


def test_no_key_of_the_models_is_left_out_of_that_campaign():
    given, known = {}, {}
    for model in models_in(load_campaign_text(EVERYTHING).campaign):
        given.setdefault(type(model).__name__, set()).update(model.model_fields_set)
        known[type(model).__name__] = set(type(model).model_fields)
    shared = {"where", "slos", "shards", "samples", "max_in_flight", "split", "shadow", "sessions", "levels"}
    shared |= {"locustfile", "warmup", "data", "target", "retries"}
    assert {
        name: sorted(known[name] - given[name] - shared)
        for name in known
        if known[name] - given[name] - shared
    } == {}
    assert shared <= given["LoadActivity"]


def test_the_schema_accepts_every_key():
    assert [
        one.message for one in jsonschema.Draft202012Validator(campaign_schema()).iter_errors(DOCUMENT)
    ] == []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: ".".join(str(step) for step in path))
def test_a_misspelt_key_is_refused_by_name_and_by_the_schema(path, validator):
    document = copy.deepcopy(DOCUMENT)
    holder = document
    for step in path[:-1]:
        holder = holder[step]
    wrong = f"{path[-1]}_"
    holder[wrong] = holder.pop(path[-1])
    said = {place: words for place, words in found(json.dumps(document)).items() if place.endswith(wrong)}
    if path[-1] == "kind":
        assert [words for place, words in found(json.dumps(document)).items() if "it is not kind_" in words]
    else:
        assert len(said) == 1
        assert f"unknown key (did you mean {path[-1]}?)" in next(iter(said.values()))
    assert not validator.is_valid(document)


@pytest.fixture(scope="module")
def validator():
    return jsonschema.Draft202012Validator(campaign_schema())


LEAVES = [
    one for one in PATHS if one[-1] != "kind" and not any(p[: len(one)] == one for p in PATHS if p != one)
]
TRUNKS = [[one] for one in PATHS if one[-1] != "kind" and one not in LEAVES]
AT_ONCE = 8


@pytest.mark.parametrize("paths", [*TRUNKS, *(LEAVES[at::AT_ONCE] for at in range(AT_ONCE))], ids=len)
def test_keys_without_a_value_are_all_told_at_their_places(paths):
    document = copy.deepcopy(DOCUMENT)
    places = set()
    for path in paths:
        holder = document
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = None
        steps = [f"[{one}]" if isinstance(one, int) else f".{one}" for one in path]
        places.add("".join(steps).removeprefix("."))
    said = found(json.dumps(document))
    assert [place for place in places if "is empty" not in said.get(place, "")] == [], said


MINIMAL = """
campaign: c
prices: {machine_hour: 1}
gameday: {window: {from: 00:00, to: 23:59, timezone: UTC}, roles: {a: b}, approvals: {p: {by: a}}}
targets: {t: {protocol: openai-chat, model: m, demo: {}}, j: {protocol: json-http, url: http://h}}
phases:
  - name: p
    activities:
      - {name: a, kind: soak, target: t, duration: 1h, arrivals: {process: constant, rate: 1/s}}
      - {name: b, kind: search, target: t, arrivals: {process: poisson}, find: max rate, between: [1/s, 2/s],
         while: [success_rate >= 9%]}
      - {name: c, kind: regression, target: t, golden: g}
      - {name: d, kind: chaos, fault: noop, for: 1s}
      - {name: e, kind: telemetry, sources: [host]}
      - {name: f, kind: load, target: j, arrivals: {process: poisson, stages: [{rate: 1/s, for: 1s}]},
         data: {file: rows}}
"""
# Section 3 to 9 of CAMPAIGN.md: where a default is looked up, and what it is in base units.
DEFAULTS = [
    ("", {"description": "", "seed": None, "slos": (), "abort_if": (), "samples": 0.0, "priority": 0}),
    ("", {"on_lost_coordinator": 10, "place_within": 60, "share_target": False, "protect": ()}),
    ("validity", {"achieved": 0.99, "coverage": 0.99, "lag_p99": 0.01, "start_skew": 1}),
    ("prices", {"machines": 1, "kwh": 0, "currency": "USD"}),
    ("targets.t.demo", {"ttft": 0.05, "gap": 0.01, "tokens": 32, "service_time": 0.005, "error_rate": 0}),
    ("targets.t", {"timeout": 60, "stream": True, "headers": {}, "extra_body": {}, "rate_limit": None}),
    ("targets.j", {"path": "/", "method": "POST", "body": None, "tls": None}),
    ("phases.0", {"requires": ()}),
    ("phases.0.activities.0", {"slos": (), "shards": "auto", "warmup": 0, "max_in_flight": None}),
    ("phases.0.activities.0", {"watch": ("latency", "throughput"), "where": None, "samples": None}),
    ("phases.0.activities.0.trend", {"gate": True, "limit": 0.05, "memory_limit": 0.02}),
    ("phases.0.activities.0.arrivals", {"ramp": 0, "speed": 1, "think": 0}),
    ("phases.0.activities.0.data.synthetic", {"shared_prefix": 0}),
    ("phases.0.activities.1", {"step": 60, "settle": 10, "tolerance": 0.05}),
    ("phases.0.activities.2", {"batches": "auto", "concurrency": 8, "repeats": 1, "limit": None}),
    ("phases.0.activities.3", {"at": 0, "expect": (), "observe": None, "with_": {}}),
    ("phases.0.activities.4", {"every": 1}),
    ("phases.0.activities.5.arrivals.stages.0", {"ramp": 0, "name": None}),
    ("phases.0.activities.5.data", {"order": "file", "at_end": "repeat", "tags": ()}),
    ("gameday.window", {"days": ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}),
    ("gameday.approvals.p", {"within": 900}),
    ("gameday", {"blackout": (), "tabletop": False}),
]


@pytest.mark.parametrize(("place", "values"), DEFAULTS, ids=[place or "top" for place, _ in DEFAULTS])
def test_defaults_are_those_of_the_specification(place, values):
    at = load_campaign_text(MINIMAL).campaign
    for step in place.split(".") if place else ():
        at = at[int(step)] if step.isdigit() else at[step] if isinstance(at, dict) else getattr(at, step)
    assert {key: getattr(at, key) for key in values} == values


def test_the_schema_says_what_each_key_is_for_and_its_default_as_a_file_would(validator):
    schema = campaign_schema()
    for name, part in {"Campaign": schema, **schema["$defs"]}.items():
        for key, one in part.get("properties", {}).items():
            assert one.get("description"), f"{name}.{key}"
            if "default" in one:
                at_hand = validator.evolve(schema={**one, "$defs": schema["$defs"]})
                assert at_hand.is_valid(one["default"]), f"{name}.{key}: {one['default']}"
