"""Alerts of a real Prometheus and Alertmanager while a real fault acts, and what is made of them."""

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.contract import facts as f
from workers.contract.spec import is_watch

WITHIN_S = 60.0
RULES = """\
groups:
  - name: trial
    interval: 500ms
    rules:
      - {alert: TargetDown, expr: 'up == 0', for: 1s, labels: {severity: page}}
      - {alert: Muted, expr: 'up == 0'}
      - {alert: Broken, expr: 'upp == 0'}
      - {alert: Quiet, expr: 'up == 7'}
"""
CAMPAIGN = """\
campaign: alerts
seed: 3
on_lost_coordinator: 5s
validity: {{lag_p99: 10s, start_skew: 10s}}
gameday: {{silence: [Muted]}}
targets:
  chat: {{protocol: openai-chat, model: demo, url: "{url}", timeout: 10s, metrics: "{url}/metrics"}}
  watch:
    prometheus: "{prometheus}"
    alertmanager: "{alertmanager}"
    headers: {{X-Scope: "${{env:SCOPE}}"}}
phases:
  - name: only
    activities:
      - name: steady
        kind: load
        target: chat
        arrivals: {{process: constant, rate: 20/s}}
        duration: 25s
        data: {{synthetic: {{input_tokens: 4, output_tokens: 2}}}}
        slos: ["alert(Quiet) never fires"]
      - name: hang
        kind: chaos
        fault: pause-process
        at: 11s
        for: 6s  # Alertmanager tells of an alert only where it still fires when its group_wait is over
        match: {{pidfile: "{pidfile}"}}
        expect:
          - alert(TargetDown) fires within 6s
          - alert(TargetDown) resolves within 6s
          - alert(Muted) fires within 6s
          - alert(Quiet) never fires
          - alert(Broken) fires within 6s
          - metric(demo:num_requests_running) returns within 6s
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def programs() -> tuple[str, str]:
    """Where Prometheus and Alertmanager are; skips where they are not."""
    found = (
        shutil.which("prometheus"),
        shutil.which("prometheus-alertmanager") or shutil.which("alertmanager"),
    )
    if None in found:
        pytest.skip("needs Prometheus and Alertmanager (Debian's prometheus, prometheus-alertmanager)")
    return found


@pytest.fixture(scope="module")
def monitor(programs, the_fleet, tmp_path_factory, until) -> Iterator[dict[str, str]]:
    """Both, watching the fleet's target and sending webhooks to `hook`, a free port."""
    tmp_path, fleet = tmp_path_factory.mktemp("monitor"), the_fleet
    prometheus, manager, hook = free_port(), free_port(), free_port()
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "manager.yml").write_text(
        "route: {receiver: hook, group_wait: 1s, group_interval: 1s, group_by: [alertname]}\n"
        f"receivers: [{{name: hook, webhook_configs: [{{url: 'http://127.0.0.1:{hook}/'}}]}}]\n"
    )
    aim = fleet.url.removeprefix("http://")
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 500ms, scrape_timeout: 400ms, evaluation_interval: 500ms}\n"
        "rule_files: [rules.yml]\n"
        f"alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{manager}']}}]}}]}}\n"
        f"scrape_configs: [{{job_name: chat, static_configs: [{{targets: ['{aim}']}}]}}]\n"
    )
    argvs = (
        [programs[1], f"--config.file={tmp_path}/manager.yml", f"--storage.path={tmp_path}/manager",
         f"--web.listen-address=127.0.0.1:{manager}", "--cluster.listen-address="],
        [programs[0], f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data",
         f"--web.listen-address=127.0.0.1:{prometheus}"],
    )  # fmt: skip
    started = [subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for argv in argvs]
    found = {
        "prometheus": f"http://127.0.0.1:{prometheus}",
        "alertmanager": f"http://127.0.0.1:{manager}",
        "hook": str(hook),
    }
    until(lambda: answers(f"{found['alertmanager']}/-/ready"), within_s=WITHIN_S)
    # the first scrapes: a target that was never up is no target that went down
    query = f"{found['prometheus']}/api/v1/query?query=up==1"
    until(lambda: b'"value"' in answers(query), within_s=WITHIN_S)
    yield found
    for one in started:
        one.kill()
        one.wait()


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.read() or b" "
    except OSError:
        return b""


def hooked_worker(fleet, monitor, name="hooked"):
    """A worker that takes Alertmanager's webhooks."""
    argv = ("-m", "workers", "--name", name, "--slots", "2", "--webhook", monitor["hook"])
    home = str(fleet.folder / f"home-{name}")
    fleet.workers[name] = fleet.spawn(*argv, SHAKEOUT_HOME=home, SCOPE="trial")


def test_alerts_and_gauges_are_verified_against_a_fault_of_known_times(fleet, monitor, tmp_path, until):
    fleet.ensure(workers=0)
    hooked_worker(fleet, monitor)
    fleet.ensure(workers=1)
    pidfile = tmp_path / "target.pid"
    pidfile.write_text(str(fleet.aim.popen.pid))
    text = CAMPAIGN.format(url=fleet.url, pidfile=pidfile, **monitor)
    campaign = fleet.submit_text(text, "alerts")
    before_s, after_s = paused(fleet, until, within_s=WITHIN_S)
    report = campaign.report(within_s=WITHIN_S)
    claims = {one["slo"]: one for one in report["slos"] if one["place"] == "expect"}
    verdicts = {text: one["verdict"] for text, one in claims.items()}
    assert verdicts == {
        "alert(TargetDown) fires within 6s": "pass",
        "alert(TargetDown) resolves within 6s": "pass",
        "alert(Muted) fires within 6s": "pass",
        "alert(Quiet) never fires": "pass",
        "alert(Broken) fires within 6s": "fail",
        "metric(demo:num_requests_running) returns within 6s": "pass",
    }, {text: one["why"] for text, one in claims.items()}
    assert report["verdict"] == "fail"  # by the rule that was broken on purpose
    (quiet,) = [one for one in report["slos"] if one["place"] == "slos"]
    assert quiet["verdict"] == "pass"
    assert not any(is_watch(name) for name in report["activities"])
    (fault,) = report["faults"]
    assert before_s - 1.0 < fault["injected"] < after_s + 1.0
    times = {one["alert"]: one for one in fault["alerts"]}
    down = times["TargetDown"]
    assert down["fired_s"] == pytest.approx(truth(monitor, "TargetDown", fault["injected"]), abs=0.5)
    assert down["held_s"] == pytest.approx(1.0, abs=0.5)
    assert (down["silenced"], times["Muted"]["silenced"]) == (False, True)
    assert down["sent_s"] is not None
    assert down["routed_s"] >= 0.5  # group_wait is 1 s, less what the two clocks of one host may differ by
    assert times["Muted"]["routed_s"] is None  # it reached nobody
    assert times["Quiet"]["fired_s"] is None
    whats = [fact.what for fact in campaign.facts(f.Silenced)]
    assert whats == ["created", "removed"]
    silences = json.loads(answers(f"{monitor['alertmanager']}/api/v2/silences"))
    assert {one["status"]["state"] for one in silences} == {"expired"}


def paused(fleet, until, *, within_s):
    """Between which moments the target's process was stopped, by the host's own clock."""
    stat = Path(f"/proc/{fleet.aim.popen.pid}/stat")
    looks = [time.time()]

    def is_stopped():
        looks.append(time.time())
        return stat.read_text().rpartition(")")[2].split()[0] == "T"

    until(is_stopped, within_s=within_s)
    return looks[-2], time.time()


def truth(monitor, alert, injected_s):
    """Seconds from the injection until Prometheus itself recorded the alert as firing."""
    query = f"ALERTS{{alertname=%22{alert}%22,alertstate=%22firing%22}}[2m]"
    url = f"{monitor['prometheus']}/api/v1/query?query={query}"
    (series,) = json.loads(answers(url))["data"]["result"]
    return series["values"][0][0] - injected_s


HANDED_ON = """\
campaign: handed-on
seed: 3
on_lost_coordinator: 2s
validity: {{lag_p99: 10s, start_skew: 10s}}
gameday: {{silence: [Muted]}}
targets:
  chat: {{protocol: openai-chat, model: demo, url: "{url}", timeout: 2s}}
  watch: {{prometheus: "{prometheus}", alertmanager: "{alertmanager}"}}
phases:
  - name: only
    activities:
      - name: steady
        kind: load
        target: chat
        arrivals: {{process: constant, rate: 5/s}}
        duration: 17s
        data: {{synthetic: {{input_tokens: 4, output_tokens: 2}}}}
      - name: hang
        kind: chaos
        fault: pause-process
        at: 3s
        for: 12s
        match: {{pidfile: "{pidfile}"}}
        expect: [alert(TargetDown) fires within 14s]
"""


def test_a_watch_whose_worker_dies_goes_on_elsewhere_and_leaves_no_silence(fleet, monitor, tmp_path, until):
    fleet.ensure(workers=0)
    hooked_worker(
        fleet, monitor, "zz-hooked"
    )  # the fault goes to the first by name, the watch to the webhook
    fleet.worker("aa-plain")
    fleet.ensure(workers=2)
    pidfile = tmp_path / "target.pid"
    pidfile.write_text(str(fleet.aim.popen.pid))
    campaign = fleet.submit_text(HANDED_ON.format(url=fleet.url, pidfile=pidfile, **monitor), "handed-on")
    created = campaign.fact(f.Silenced, within_s=WITHIN_S)
    assert created.what == "created"
    fleet.workers["zz-hooked"].kill()
    report = campaign.report(within_s=2 * WITHIN_S)
    attempts = [one for one in campaign.state().attempts.values() if is_watch(one.activity)]
    assert [(one.number, one.worker) for one in attempts] == [(1, "zz-hooked"), (2, "aa-plain")]
    (claim,) = [one for one in report["slos"] if one["place"] == "expect"]
    assert claim["verdict"] == "pass", claim["why"]
    whats = [(fact.what, fact.id == created.id) for fact in campaign.facts(f.Silenced)]
    assert whats == [("created", True), ("removed", True), ("created", False), ("removed", False)]
    silences = json.loads(answers(f"{monitor['alertmanager']}/api/v2/silences"))
    assert {one["status"]["state"] for one in silences} == {"expired"}
