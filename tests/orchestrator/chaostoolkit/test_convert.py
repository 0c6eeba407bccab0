"""Whole experiments as people write them, each against the campaign that is expected of it."""

from pathlib import Path

import pytest

from orchestrator.campaign.load import load_campaign, load_campaign_text
from orchestrator.chaostoolkit.convert import convert
from orchestrator.chaostoolkit.experiment import read_experiment
from orchestrator.chaostoolkit.writing import campaign_text
from orchestrator.plan import plan_of

HERE = Path(__file__).parent
EXPERIMENTS = sorted((HERE / "experiments").iterdir())
ONE = """
title: One
steady-state-hypothesis:
  title: fine
  probes:
    - {type: probe, name: api, tolerance: 200, provider: {type: http, url: "http://127.0.0.1:8000/"}}
method:
"""


def _read(path):
    return convert(read_experiment(path.read_text(), file=path.name, given={}))


def _made(method, rollbacks=""):
    text = ONE + method + (f"rollbacks:\n{rollbacks}" if rollbacks else "")
    return convert(read_experiment(text, file="one.yaml", given={}))


def _process(name, command, more=""):
    program, _, words = command.partition(" ")
    return (
        f"  - {{type: action, name: {name}, provider: "
        f"{{type: process, path: {program}, arguments: '{words}'}}{more}}}\n"
    )


def _faults(imported):
    (phase,) = imported.document["phases"]
    return {one["name"]: one for one in phase["activities"] if one["kind"] == "chaos"}


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_an_experiment_becomes_the_campaign_that_is_expected(path):
    golden = HERE / "golden" / f"{path.stem}.yaml"
    assert campaign_text(_read(path), source=path.name) == golden.read_text()


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_what_an_experiment_becomes_is_valid_and_can_be_planned(path, tmp_path):
    imported = _read(path)
    file = tmp_path / "campaign.yaml"
    file.write_text(campaign_text(imported, source=path.name))
    for name, text in imported.rows.items():
        (tmp_path / name).write_text(text)
    campaign = load_campaign(file).campaign
    plan = plan_of(campaign, seed=1)
    kinds = [one.kind for phase in plan.phases for one in phase.activities]
    assert {"load", "chaos"} <= set(kinds)


def test_a_fault_lasts_until_the_step_that_ends_it():
    method = _process("hang", "pkill -STOP api", ", pauses: {after: 12}")
    method += _process("go-on", "pkill -CONT api") + _process("rest", "sleep 30")
    faults = _faults(_made(method))
    assert (faults["hang"]["fault"], faults["hang"]["at"], faults["hang"]["for"]) == (
        "pause-process",
        "30s",
        "12s",
    )
    assert list(faults) == ["hang"]


def test_a_fault_that_only_a_rollback_ends_lasts_to_the_end_of_the_method():
    method = _process("hang", "pkill -STOP api", ", pauses: {after: 10}") + _process("rest", "sleep 35")
    imported = _made(method, _process("go-on", "pkill -CONT api"))
    assert _faults(imported)["hang"]["for"] == "45s"
    assert imported.left_out == ()
    assert imported.document["phases"][0]["activities"][0]["duration"] == "115s"


def test_a_fault_whose_end_nobody_says_gets_half_a_minute():
    assert _faults(_made(_process("hang", "pkill -STOP api")))["hang"]["for"] == "30s"


def test_a_fault_in_the_background_does_not_delay_the_next_step():
    method = _process("busy", "stress-ng --cpu 1 -t 40", ", background: true")
    method += _process("kill", "pkill -9 api") + _process("busy again", "stress-ng --cpu 1 -t 1m")
    method += _process("end", "pkill -9 api")
    faults = _faults(_made(method))
    assert [(one["at"], one.get("for")) for one in faults.values()] == [
        ("30s", "40s"),
        ("30s", None),
        ("30s", "1m"),
        ("90s", None),
    ]
    assert list(faults) == ["busy", "kill", "busy-again", "end"]


def test_a_command_is_ended_by_its_opposite_and_taken_back_by_it():
    method = _process("stop", "systemctl stop redis", ", pauses: {after: 20}")
    imported = _made(method + _process("start", "systemctl start redis"))
    (fault,) = _faults(imported).values()
    assert fault["for"] == "20s"
    assert fault["with"]["revert"] == ["systemctl", "start", "redis"]
    assert imported.left_out == ()


def test_a_rollback_takes_back_what_it_is_the_opposite_of_and_nothing_else():
    method = _process("mount", "mount-read-only /data") + _process("pause", "docker pause web")
    imported = _made(method, _process("go-on", "docker unpause web") + _process("other", "chmod -R 777 /x"))
    faults = _faults(imported)
    assert faults["pause"]["with"]["revert"] == ["docker", "unpause", "web"]
    assert faults["mount"]["with"]["revert"] == ["revert-mount"]
    (left,) = imported.left_out
    assert (left.path, left.why) == (("rollbacks", 1), "no fault is left that it could take back")


def test_a_rollback_of_the_same_program_is_taken_and_somebody_is_asked_to_look():
    imported = _made(_process("cut", "firewall deny db"), _process("heal", "firewall reset"))
    assert _faults(imported)["cut"]["with"]["revert"] == ["firewall", "reset"]
    assert "cut: see that `revert`, the rollback 'heal', takes this very fault back" in imported.to_do


def test_calls_that_switch_a_fault_on_and_off_are_one_fault():
    call = "  - {{type: action, name: {0}, pauses: {{after: 9}}, provider: "
    call += "{{type: http, url: 'http://a/chaos/{0}', method: POST}}}}\n"
    imported = _made(call.format("enable") + call.format("disable"))
    (fault,) = _faults(imported).values()
    assert (fault["for"], fault["with"]["revert"]["url"]) == ("9s", "http://a/chaos/disable")


def test_a_call_whose_address_is_of_the_environment_is_left_out():
    text = ONE + (
        "  - {type: action, name: x, provider: {type: http, url: '${where}/on', method: POST}}\n"
        "configuration: {where: {type: env, key: WHERE}}\n"
    )
    (left,) = convert(read_experiment(text, file="one.yaml", given={})).left_out
    assert "a value of the environment cannot stand in a fault's URL: give it by --var" in left.why


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (_process("undo", "pkill -CONT api"), "nothing before it is ended by it"),
        (_process("odd", "stress-ng --matrix 1"), "of stress and stress-ng, --cpu, --vm and --hdd are known"),
        ("  - {type: action, name: odd, provider: {type: grpc}}\n", "a provider of type 'grpc' is not known"),
        (
            "  - {type: action, name: odd, provider: {type: http, url: 'http://a/', method: POST}}\n",
            "no rollback over HTTP takes it back",
        ),
        (_process("odd", "pkill -9 ${name}"), "${name} is not known: give it by --var"),
        (_process("odd", "tc qdisc add dev eth0 root netem delay fast"), "fault netem: delay 'fast'"),
    ],
)
def test_what_has_no_equal_is_left_out_with_its_place_and_why(step, why):
    (left,) = _made(step).left_out
    assert left.path == ("method", 0)
    assert left.line == 8
    assert why in left.why


def test_without_any_traffic_a_placeholder_is_made_and_said():
    imported = convert(read_experiment("title: T\nmethod: []\n", file="t.yaml", given={}))
    (to_do,) = imported.to_do
    assert "put its address into targets.service.url" in to_do
    assert load_campaign_text(campaign_text(imported, source="t.yaml")).campaign.campaign == "t"


def test_an_alert_without_a_fault_before_it_is_left_out():
    query = "ALERTS{alertname='Down'}"
    text = f"""
title: T
configuration: {{prometheus_base_url: "http://127.0.0.1:9090"}}
method:
  - type: probe
    name: down
    provider: {{type: python, module: chaosprometheus.probes, func: query, arguments: {{query: "{query}"}}}}
"""
    (left,) = convert(read_experiment(text, file="t.yaml", given={})).left_out
    assert (left.what, left.why) == ("alert Down", "no fault before it could make it fire")


def test_what_is_sent_as_a_form_there_is_told_to_be_json_here():
    probe = """
title: T
steady-state-hypothesis:
  probes:
    - type: probe
      name: a
      provider: {{type: http, url: "https://h/", method: POST, verify_tls: false, arguments: {{x: 1}}{0}}}
method: []
"""
    form = convert(read_experiment(probe.format(""), file="t.yaml", given={}))
    json = convert(
        read_experiment(probe.format(", headers: {content-type: application/json}"), file="t.yaml", given={})
    )
    assert ["as a form" in one for one in form.to_do] == [True]
    assert json.to_do == ()
    assert form.document["targets"]["a"]["tls"] == {"verify": False}
    assert load_campaign_text(campaign_text(form, source="t.yaml"))
