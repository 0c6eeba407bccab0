"""Clients that try again, talk in turns or run code of their own: a target's log is the truth."""

from collections import Counter

SESSIONS = """
campaign: clients
seed: 5
on_lost_coordinator: 30s
validity: {{lag_p99: 2s, start_skew: 10s, coverage: 50%, achieved: 50%}}
targets:
  chat: {{protocol: openai-chat, model: demo, url: "{url}", timeout: 20s}}
phases:
  - name: only
    activities:
      - name: peak-load
        kind: load
        target: chat
        shards: 2
        duration: {duration}
        arrivals: {{process: poisson, rate: 20/s}}
        data: {{synthetic: {{input_tokens: 8, output_tokens: 4}}}}
        {behaviour}
        slos: ["success_rate >= 20%"{slos}]
"""
CODE = """
from locust import FastHttpUser, HttpUser, constant, task

BODY = {"model": "demo", "messages": [{"role": "user", "content": "one two"}], "max_tokens": 2}


class Chat(HttpUser):
    wait_time = constant(0.05)

    @task
    def chat(self):
        self.client.post("/v1/chat/completions", json=BODY, name="chat")


class Fast(FastHttpUser):
    wait_time = constant(0.05)

    @task
    def chat(self):
        self.client.post("/v1/chat/completions", json=BODY, name="chat")
"""


def text(url, *, behaviour, slos="", duration="3s"):
    return SESSIONS.format(url=url, behaviour=behaviour, slos=slos, duration=duration)


def adds_up(report):
    counts = report["activities"]["peak-load"]["requests"]
    assert counts["scheduled"] == counts["ok"] + counts["failed"] + counts["unsent"] + counts["unknown"]
    return counts


def test_a_rehearsed_retry_storm_is_reconciled_with_the_targets_log(run, target) -> None:
    demo = target("--error-rate", "30%", "--ttft", "5ms", "--gap", "1ms")
    one = run(text(demo.url, behaviour="retries: {attempts: 3, backoff: 20ms}"))
    assert one.wait() == 0, one.output
    counts, said = adds_up(one.report()), one.report()["activities"]["peak-load"]["retries"]
    log = demo.indices("peak-load")
    assert said["tries_sent"] == log.total() > counts["sent"] == len(log)
    assert said["requests_by_attempts"] == {str(n): k for n, k in sorted(Counter(log.values()).items())}
    assert round(said["attempts_per_request"], 6) == round(log.total() / len(log), 6)
    assert counts["by_error"].get("http_503", 0) == said["not_again"].get("attempts", 0)
    page = (one.folder / "report.html").read_text()
    assert "attempts per request" in page


def test_conversations_are_judged_turn_by_turn(run, target) -> None:
    demo = target("--ttft", "5ms", "--gap", "1ms")
    one = run(
        text(
            demo.url,
            behaviour="sessions: {turns: 3, think: 100ms}",
            slos=', "goodput(latency < 5s) >= 50% for turn=3"',
        )
    )
    assert one.wait() == 0, one.output
    report, log = one.report(), demo.indices("peak-load")
    said = report["activities"]["peak-load"]
    assert adds_up(report)["sent"] == len(log) == log.total()
    turns = Counter(index % 3 for index in log)
    told = {name: group["outcomes"]["ok"] for name, group in said["groups"].items()}
    assert told == {f"turn={turn + 1}": turns[turn] for turn in range(3)}
    assert said["sessions"]["begun"] == turns[0]
    assert said["sessions"]["whole"] == turns[2]
    assert said["sessions"]["cut"] == 0
    verdicts = {slo["slo"]: (slo["verdict"], slo["samples"]) for slo in report["slos"]}
    assert verdicts["goodput(latency < 5s) >= 50% for turn=3"] == ("pass", turns[2])


def test_the_next_coordinator_counts_tries_and_turns_as_one_would_have(run, target, until) -> None:
    demo = target("--error-rate", "20%", "--ttft", "5ms", "--gap", "1ms")
    both = "retries: {attempts: 4, backoff: 20ms}\n        sessions: {turns: 3, think: 300ms}"
    whole = text(demo.url, behaviour=both, duration="8s")
    one = run(whole)
    until(lambda: len(demo.received()) > 60)
    (coordinator,) = one.find("orchestrator", "coordinator")
    coordinator.kill()
    assert one.wait() == 0, one.output
    counts, said = adds_up(one.report()), one.report()["activities"]["peak-load"]
    log = demo.indices("peak-load")
    assert (counts["sent"], counts["unknown"], counts["unsent"]) == (len(log), 0, 0)
    assert said["retries"]["tries_sent"] == log.total()
    assert said["retries"]["requests_by_attempts"] == {
        str(n): k for n, k in sorted(Counter(log.values()).items())
    }
    turns = Counter(index % 3 for index in log)
    assert (said["sessions"]["begun"], said["sessions"]["cut"]) == (turns[0], 0)
    assert said["sessions"]["begun"] == sum(
        said["sessions"][key] for key in ("whole", "broken", "ended_with_schedule")
    )


def test_a_killed_engine_cuts_its_conversations_and_the_report_says_so(run, target, until) -> None:
    demo = target("--ttft", "5ms", "--gap", "1ms")
    one = run(text(demo.url, behaviour="sessions: {turns: 4, think: 700ms}", duration="8s"))
    until(lambda: len(demo.received()) > 60)
    until(lambda: one.engines_at_work(demo))[0].kill()
    one.wait()
    report, log = one.report(), demo.indices("peak-load")
    counts, said = adds_up(report), report["activities"]["peak-load"]
    assert max(log.values()) == 1
    assert counts["sent"] <= len(log) <= counts["sent"] + counts["unknown"] + said["sessions"]["cut"]
    assert said["sessions"]["cut"] > 0
    assert counts["unsent"] > 0
    assert said["coverage"] < 1
    assert any("cut off between two turns" in gap["why"] for gap in said["gaps"]), said["gaps"]


def test_a_locustfile_beside_the_campaign_runs_on_every_worker(run, target, tmp_path) -> None:
    demo = target("--ttft", "5ms", "--gap", "1ms")
    (tmp_path / "mine.py").write_text(CODE)
    whole = text(demo.url, behaviour="locustfile: mine.py", slos=", never(http_5xx) for name=chat")
    whole = whole.replace("{process: poisson, rate: 20/s}", "{process: closed, users: 4, ramp: 500ms}")
    whole = whole.replace("        data: {synthetic: {input_tokens: 8, output_tokens: 4}}\n", "")
    one = run(whole, "--workers", "2")
    assert one.wait() == 0, one.output
    report = one.report()
    counts, said = adds_up(report), report["activities"]["peak-load"]
    assert counts["ok"] == len(demo.received()) == said["tables"]["endpoints"]["POST chat"]["ok"]
    assert {attempt["worker"] for attempt in said["attempts"]} == {"local-1", "local-2"}
    assert any("fence is not asked" in warning for warning in said["warnings"])
    assert "lag_s" not in said


def test_a_locustfile_whose_import_fails_is_told_by_its_line(run, target, tmp_path) -> None:
    (tmp_path / "mine.py").write_text("import no_such_module\n\n\nclass A:\n    pass\n")
    whole = text(target().url, behaviour="locustfile: mine.py")
    whole = whole.replace("{process: poisson, rate: 20/s}", "{process: closed, users: 4}")
    whole = whole.replace("        data: {synthetic: {input_tokens: 8, output_tokens: 4}}\n", "")
    one = run(whole)
    assert one.wait() == 4, one.output
    assert "mine.py, line 1: ModuleNotFoundError: No module named 'no_such_module'" in one.output
