"""One row a rule of other kinds than load: what is changed in an activity, and what must be said of it."""

import pytest

SECOND = "phases[0].activities[1]"
CHAOS = {
    "name": "hang",
    "kind": "chaos",
    "fault": "pause-process",
    "at": "5s",
    "for": "2s",
    "match": {"port": 80},
}
SOAK = {
    "name": "s",
    "kind": "soak",
    "target": "chat",
    "arrivals": {"process": "constant", "rate": "1/s"},
    "duration": "9s",
    "data": {"synthetic": {"input_tokens": 1, "output_tokens": 1}},
}
SEARCH = {
    "name": "knee",
    "kind": "search",
    "target": "chat",
    "arrivals": {"process": "poisson"},
    "data": {"synthetic": {"input_tokens": 1, "output_tokens": 1}},
    "find": "max rate",
    "between": ["1/s", "9/s"],
    "while": ["success_rate > 9%"],
}
REGRESSION = {"name": "g", "kind": "regression", "target": "chat", "golden": "g.jsonl"}
TELEMETRY = {"name": "t", "kind": "telemetry", "sources": ["host"]}
SECOND_ROWS = [
    (CHAOS, {"fault": "pause-proces"}, "fault", "did you mean pause-process"),
    (CHAOS, {"for": None}, "for", "is held for a time"),
    (CHAOS, {"fault": "kill-process"}, "for", "it lasts no time"),
    (CHAOS, {"for": "61m"}, "for", "longer than 1h"),
    (CHAOS, {"at": "29s"}, "at", "must end before the traffic does"),
    (CHAOS, {"match": None}, "match", "which process"),
    (CHAOS, {"match": {}}, "match", "has none"),
    (CHAOS, {"match": {"cmdline": ""}}, "match.cmdline", "must not be empty"),
    (CHAOS, {"match": 80}, "match", "e.g. {port: 8000}"),
    (CHAOS, {"expect": ["p99(latency) < 1s over 3s"]}, "expect[0]", "longer than the fault, 2s"),
    (
        CHAOS,
        {"fault": "tcp-proxy", "match": None, "with": {"listen": 1, "upstream": "h"}},
        "with.upstream",
        "HOST:PORT",
    ),
    (
        CHAOS,
        {"fault": "tcp-proxy", "match": None, "with": {"listen": 1, "upstream": "h:1", "rate": "9"}},
        "with.rate",
        "1MiB/s",
    ),
    (CHAOS, {"fault": "gpu-memory", "match": None, "with": {"size": 5}}, "with.size", "say 5MiB"),
    (CHAOS, {"fault": "cpu", "match": None, "with": {"load": 80}}, "with.load", "say 80%"),
    (CHAOS, {"fault": "memory", "match": None, "with": {"share": "1GiB"}}, "with.share", "10%"),
    (
        CHAOS,
        {"fault": "disk-fill", "match": None, "with": {"path": "/d", "leave": "9"}},
        "with.leave",
        "9MiB",
    ),
    (CHAOS, {"for": "0s"}, "for", "longer than 0s"),
    (CHAOS, {"match": {"port": 1, "name": "x"}}, "match", "exactly one"),
    (CHAOS, {"match": {"cmdline": "("}}, "match.cmdline", "no regular expression"),
    (CHAOS, {"with": {"x": 1}}, "with.x", "unknown key"),
    (CHAOS, {"fault": "kill-process", "for": None, "with": {"signal": "NOPE"}}, "with", "NOPE"),
    (CHAOS, {"fault": "tcp-proxy", "match": None}, "with.listen", "is missing"),
    (
        CHAOS,
        {"fault": "gpu-memory", "match": None, "with": {"share_of_free": "5"}},
        "with.share_of_free",
        "bare number",
    ),
    (
        CHAOS,
        {"fault": "disconnect-mid-stream", "match": None, "with": {"rate": "1/s"}},
        "target",
        "traffic on a target",
    ),
    (CHAOS, {"observe": ["nobody"]}, "observe[0]", "no load or soak 'nobody'"),
    (
        CHAOS,
        {"observe": [], "expect": ["recovery < 5s"]},
        "expect[0]",
        "no load or soak of the phase is observed",
    ),
    (CHAOS, {"expect": ["metric(x) returns within 5s"]}, "expect[0]", "no `metrics` URL"),
    (CHAOS, {"expect": ["alert(X) fires within 5s"]}, "expect[0]", "no target is a monitor"),
    (CHAOS, {"duration": "5s"}, "duration", "kinds that have it: load, soak, telemetry"),
    (SOAK, {"watch": ["latenzy"]}, "watch[0]", "did you mean latency"),
    (SOAK, {"watch": ["gpu.power"]}, "watch[0]", "sources: [nvml]"),
    (SOAK, {"watch": ["target.rss"]}, "watch[0]", "give the soak's target `metrics`"),
    (SOAK, {"trend": {"gate": 1}}, "trend.gate", "true or false"),
    (SEARCH, {"between": ["9/s", "1/s"]}, "between", "lower level stands first"),
    (SEARCH, {"between": ["1/s"]}, "between", "needs at least 2"),
    (SEARCH, {"settle": "60s"}, "settle", "shorter than `step`"),
    (SEARCH, {"tolerance": "0%"}, "tolerance", "no search ends"),
    (SEARCH, {"between": [1, 9]}, "between", "are rates"),
    (SEARCH, {"find": "max concurrency", "arrivals": {"process": "closed"}}, "between", "numbers of users"),
    (SEARCH, {"find": "max concurrency"}, "arrivals.process", "must be closed"),
    (SEARCH, {"arrivals": {"process": "poisson", "rate": "1/s"}}, "arrivals.rate", "sets the level itself"),
    (SEARCH, {"slos": ["max_concurrency > 5"]}, "slos[0]", "finds max_rate"),
    (SEARCH, {"while": []}, "while", "needs at least 1"),
    (SEARCH, {"while": None}, "while", "a search activity needs it"),
    (REGRESSION, {"golden": None}, "golden", "golden or probes"),
    (REGRESSION, {"mutate": ["null-field"], "probes": ["no-credentials"]}, "probes", "stands beside mutate"),
    (
        REGRESSION,
        {"mutate": ["null-field"], "compare": {"a": {"exact": {}}}},
        "compare",
        "stands beside mutate",
    ),
    (REGRESSION, {"golden": None, "probes": ["x"], "features": "f"}, "features", "needs `golden`"),
    (REGRESSION, {"mutate": ["nul-field"]}, "mutate[0]", "did you mean null-field?"),
    (REGRESSION, {"probes": ["no-credential"]}, "probes[0]", "did you mean no-credentials?"),
    (REGRESSION, {"compare": {"a": {"exactly": {}}}}, "compare.a.exactly", "did you mean exact"),
    (REGRESSION, {"compare": {"a": {"close": {"tol": 1}}}}, "compare.a.close.tol", "did you mean"),
    (REGRESSION, {"compare": {"a": {"close": {"rtol": "x"}}}}, "compare.a.close.rtol", "must be a number"),
    (REGRESSION, {"slos": ["agreement > 9%"]}, "slos[0]", "needs a `baseline`"),
    (REGRESSION, {"slos": ["contract_violations < 1"]}, "slos[0]", "needs `features`"),
    (REGRESSION, {"slos": ["always(ok) for mutation=x"]}, "slos[0]", "no request has mutation=x"),
    (TELEMETRY, {"sources": ["gpu"]}, "sources[0]", "one of nvml, host"),
    (TELEMETRY, {"sources": [{"prometheus": "chat"}]}, "sources[0].prometheus", "no `metrics` URL"),
    (TELEMETRY, {"sources": [5]}, "sources[0]", "nvml, host, {prometheus: TARGET}"),
    (TELEMETRY, {"sources": ["NVML"]}, "sources[0]", "did you mean nvml?"),
    (TELEMETRY, {"sources": [{"proces": {}}]}, "sources[0].proces", "did you mean process?"),
    (TELEMETRY, {"kind": None, "knd": "telemetry"}, "kind", "it is not knd"),
    (TELEMETRY, {"sources": [{"process": {}}]}, "sources[0].process", "has none"),
    (TELEMETRY, {"name": "steady"}, "name", "a second activity named steady"),
    (TELEMETRY, {"kind": "telemetri"}, "kind", "did you mean telemetry"),
    (TELEMETRY, {"kind": None}, "kind", "is missing"),
]


@pytest.mark.parametrize(("activity", "change", "path", "words"), SECOND_ROWS)
def test_a_wrong_activity_of_another_kind_is_told(edited, said, activity, change, path, words):
    assert said(edited(extra=[activity])) == []
    changed = {key: value for key, value in (activity | change).items() if value is not None}
    found = said(edited(extra=[changed]))
    assert [one for one in found if one[0] == f"{SECOND}.{path}" and words in one[1]], found


@pytest.mark.parametrize(
    ("activity", "path", "words"),
    [(TELEMETRY, "activities[0].duration", "only telemetry"), (CHAOS, "activities", "only chaos")],
)
def test_a_phase_needs_something_that_ends_it(edited, said, activity, path, words):
    document = edited()
    document["phases"].append({"name": "alone", "activities": [activity]})
    found = said(document)
    assert [one for one in found if one[0] == f"phases[1].{path}" and words in one[1]], found
