"""A real worker that watches: gauges of a real target, webhooks, and how it ends."""

import http.client
import json
import time

import psutil
import pytest

from workers.contract.facts import AlertSeen, Exited, Gauged, Ready
from workers.contract.spec import GaugeSpec, MonitorSpec, WatchSpec, watch_key

CAMPAIGN = "trial-1"
METRIC = "process_resident_memory_bytes"
WITHIN_S = 10.0


def spec(*, url="", metric=METRIC, **given):
    gauges = (GaugeSpec(f"chat {metric}", "chat", url, metric),) if url else ()
    keys = {"campaign": CAMPAIGN, "phase": "p", "activity": watch_key("p"), "fence_s": 60.0, "gauges": gauges}
    return WatchSpec(**{**keys, **given})


@pytest.fixture
def watching(stage):
    """Starts a worker with these flags and a watch on it: its task, and when its phase began."""

    def start(told, *flags):
        stage.lead()
        stage.worker("w1", *flags)
        task = stage.place(told, kind="watch")
        stage.fact(Ready)
        return task, stage.start(task)

    return start


def test_gauges_are_read_each_second_until_the_watch_is_told_to_end(stage, watching):
    url, _ = stage.target()
    truth = psutil.Process(stage.processes[0].pid).memory_info().rss
    task, start_s = watching(spec(url=f"{url}/metrics"))
    stage.until(lambda: time.time() > start_s + 2.5)
    stage.halt(task)
    assert stage.fact(Exited).outcome == "done"
    readings = {
        round(fact.start_s) + place: value
        for fact in stage.facts(Gauged)
        for place, value in enumerate(fact.values)
    }
    seconds = sorted(readings)
    assert seconds == list(range(seconds[0], seconds[0] + len(seconds)))
    assert len(seconds) >= 2
    known = [value for value in readings.values() if value is not None]
    assert known
    assert all(value == pytest.approx(truth, rel=0.5) for value in known)


def test_a_page_that_does_not_answer_is_a_gap_that_says_why(stage, watching, free_port):
    port = free_port()
    task, start_s = watching(spec(url=f"http://127.0.0.1:{port}/metrics"))
    stage.until(lambda: time.time() > start_s + 1.5)
    stage.halt(task)
    stage.fact(Exited)
    (first, *_) = stage.facts(Gauged)
    assert set(first.values) == {None}
    assert f"127.0.0.1:{port}: Connection refused" in first.why


def test_a_page_off_the_allow_list_is_refused_before_anything_is_sent(stage):
    stage.lead()
    stage.worker()
    stage.place(spec(url="http://192.0.2.1:9/metrics"), kind="watch")
    refused = stage.fact(Exited)
    assert (refused.outcome, "allow-list" in refused.why) == ("refused", True)


def test_a_secret_that_is_not_set_here_is_named(stage):
    stage.lead()
    stage.worker()
    monitor = MonitorSpec(prometheus="http://127.0.0.1:9", headers={"A": "${env:NOT_SET_HERE}"})
    stage.place(spec(monitor=monitor, alerts=("Down",)), kind="watch")
    refused = stage.fact(Exited)
    assert (refused.outcome, "NOT_SET_HERE} is not set" in refused.why) == ("refused", True)


def test_what_alertmanager_sends_is_told_once_and_only_of_alerts_that_are_asked_for(
    stage, watching, free_port
):
    port = free_port()
    task, _ = watching(spec(alerts=("Down",)), "--webhook", str(port))
    assert stage.card().labels == ("webhook",)
    alert = {"status": "firing", "labels": {"alertname": "Down"}, "startsAt": "2026-11-22T16:37:59Z"}
    other = {**alert, "labels": {"alertname": "Other"}}
    body = json.dumps({"alerts": [alert, other, alert]})
    stage.until(lambda: post(port, body) == "told to 2")  # until the watch has begun: to 0
    post(port, body)
    seen = stage.fact(AlertSeen)
    stage.halt(task)
    stage.fact(Exited)
    assert [(fact.alert, fact.source, fact.state) for fact in stage.facts(AlertSeen)] == [
        ("Down", "webhook", "firing")
    ]
    assert abs(seen.received_s - time.time()) < WITHIN_S


def post(port, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WITHIN_S)
    connection.request("POST", "/", body=body)
    text = connection.getresponse().read().decode().strip()
    connection.close()
    return text


def test_a_worker_that_drains_ends_its_watch_so_that_another_can_go_on(stage, watching):
    url, _ = stage.target()
    _, start_s = watching(spec(url=f"{url}/metrics"))
    stage.until(lambda: time.time() > start_s + 1.2)
    stage.processes[-1].terminate()
    exited = stage.fact(Exited)
    assert (exited.outcome, exited.why) == ("stopped", "the worker is draining")
    assert stage.facts(Gauged)  # what it had read is not lost


def test_a_port_that_is_taken_ends_the_worker_with_what_is_wrong(stage, free_port):
    port = free_port()
    stage.lead()
    stage.worker("w1", "--webhook", str(port))
    second = stage.worker("w2", "--webhook", str(port), wait=False)
    assert second.wait(WITHIN_S * 3) == 2
