"""Experiments read: what is none is refused with its place, all problems at once."""

import pytest

from orchestrator.chaostoolkit.experiment import Command, Function, Http, read_experiment
from orchestrator.errors import CampaignFileError


def _read(text, **given):
    return read_experiment(text, file="e.yaml", given=given)


def _problems(text):
    with pytest.raises(CampaignFileError) as error:
        _read(text)
    return [str(one) for one in error.value.problems]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("campaign: x\ntargets: {}\n", "e.yaml:1:1: this is no experiment (a Chaos Toolkit experiment has"),
        ("- 1\n", "e.yaml:1:1: an experiment is a mapping"),
        ("", "e.yaml:1:1: the file is empty"),
        ("method: []\n", "title: is missing"),
        ("title: T\nmethod: {}\n", "e.yaml:2:1: method: must be a list of probes and actions"),
        ("title: T\nmethod:\n  - {type: action, name: a}\n", "e.yaml:3:5: method[0]: has no provider"),
        ("title: T\nmethod:\n  - {ref: b}\n", "method[0].ref: there is no step 'b' before it"),
        (
            "title: T\nmethod:\n  - {type: action, name: a, provider: {type: process}}\n",
            "method[0].provider.path: is missing (a process provider needs it)",
        ),
        (
            "title: T\nmethod:\n  - {name: a, pauses: {after: long}, provider: {type: process, path: x}}\n",
            "method[0].pauses.after: 'long' is no pause (say seconds, from 0 to a day)",
        ),
        ('{"title": "T", "method": [}', "e.yaml:1:"),
        ("title: T\nmethod: 3\nrollbacks: [1]\n", "rollbacks[0]: a step is a mapping"),
    ],
)
def test_what_is_no_experiment_is_refused_with_its_place(text, words):
    assert any(words in one for one in _problems(text)), _problems(text)


def test_all_problems_come_at_once():
    assert len(_problems("method:\n  - {name: a}\n  - {ref: b}\n")) == 3


def test_providers_pauses_and_references_are_read():
    one = _read(
        """
title: T
method:
  - {name: a, provider: {type: process, path: x, arguments: {--on: "", -n: 3}}, background: true}
  - {type: probe, name: b, tolerance: [1, 2], provider: {type: http, url: "http://h/", timeout: [1, 4]}}
  - {type: action, name: c, provider: {type: python, module: m, func: f, arguments: {k: 1}},
     pauses: {before: 1, after: 2.5}}
  - {ref: b}
"""
    )
    process, call, function, again = one.method
    assert (process.provider, process.background) == (Command("x", ("--on", "-n", "3")), True)
    assert call.provider == Http("http://h/", "GET", {}, None, 4.0)
    assert (function.provider, function.before_s, function.after_s) == (
        Function("m", "f", {"k": 1}),
        1.0,
        2.5,
    )
    assert (again.provider, again.tolerance, again.path) == (call.provider, [1, 2], ("method", 3))


def test_variables_are_filled_in_everywhere_and_given_ones_go_first():
    text = """
title: T
configuration: {port: 8000, host: {type: env, key: THE_HOST}, late: {type: env, key: L, default: "2"}}
method:
  - {type: probe, name: a, tolerance: "${port}", provider: {type: http, url: "http://${host}:${port}/${none}"},
     pauses: {after: "${late}"}}
"""
    (step,) = _read(text).method
    assert step.provider.url == "http://${env:THE_HOST}:8000/${none}"
    assert (step.tolerance, step.after_s) == (8000, 2.0)
    (step,) = _read(text, host="here", none="x").method
    assert step.provider.url == "http://here:8000/x"


def test_a_file_that_is_indented_with_tabs_is_read():
    assert _read('{\n\t"title": "T",\n\t"method": []\n}').title == "T"


def test_what_else_an_experiment_has_is_told():
    one = _read("title: T\nmethod: []\nruntime: {rollbacks: {strategy: always}}\nodd: 1\n")
    assert [path for path, _ in one.beside] == [("runtime",), ("odd",)]


def test_every_key_that_nothing_is_made_of_is_told_with_its_place():
    one = _read(
        """
title: T
configuration:
  found: {type: probe, name: p, provider: {type: python, module: m, func: f}}
  given: {type: probe, name: p, provider: {type: python, module: m, func: f}}
steady-state-hypothesis:
  title: t
  controls: [{name: c}]
  probes:
    - {type: python, name: p, provider: {type: http, url: "http://h/", max_retries: 2, verify_tls: true}}
method:
  - {type: action, name: a, controls: [{name: c}], provider: {type: process, path: x, timeout: 3}}
""",
        given="3",
    )
    assert [path for path, _ in one.beside] == [
        ("steady-state-hypothesis", "controls"),
        ("configuration", "found"),
        ("steady-state-hypothesis", "probes", 0, "provider", "max_retries"),
        ("method", 0, "controls"),
    ]


def test_a_step_of_the_hypothesis_is_a_probe_whatever_its_type_says():
    one = _read(
        "title: T\nsteady-state-hypothesis:\n  probes:\n"
        "    - {type: python, name: p, provider: {type: http, url: 'http://h/'}}\n"
        "method: [{ref: p}]\n"
    )
    assert [step.kind for step in (*one.hypothesis, *one.method)] == ["probe", "probe"]
