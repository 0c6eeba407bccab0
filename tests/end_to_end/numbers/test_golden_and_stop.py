"""Golden cases, templates and secrets; a campaign that is stopped."""

import json
import re
from typing import Any

import pytest

CHAT_CASES: dict[str, tuple[str, str, str]] = {
    "exact-good": ("hello", "hello", "exact"), "exact-bad": ("hello", "hullo", "exact"),
    "regex-good": ("abc 12", r"abc \d+", "regex"), "regex-bad": ("abc 12x", r"abc \d+", "regex"),
}  # fmt: skip
JSON_CASES: dict[str, tuple[str, object, dict[str, object]]] = {
    "close-good": ("[1.0, 2.000001]", [1.0, 2.0], {"close": {"rtol": 1e-3}}),
    "close-bad": ("[1.0, 2.1]", [1.0, 2.0], {"close": {"rtol": 1e-3}}),
    "subset-good": ('{"a": 1, "b": {"c": 2, "d": 3}}', {"b": {"c": 2}}, {"subset": {}}),
    "subset-bad": ('{"b": {"c": 2}}', {"b": {"c": 9}}, {"subset": {}}),
    "schema-good": ('{"a": 1}', {"type": "object", "required": ["a"]}, {"json_schema": {}}),
    "schema-bad": ('{"a": 1}', {"required": ["zz"]}, {"json_schema": {}}),
    "top-good": ("[5, 4, 3, 1]", [3, 5, 4, 9], {"top_k": {"k": 3}}),
    "top-bad": ("[5, 4, 2, 1]", [3, 5, 4, 9], {"top_k": {"k": 3, "overlap": 0.9}}),
}


def golden() -> dict[str, list[object]]:
    chat = [
        {"id": id_, "request": {"do": "chat", "content": said, "messages": []},
         "expected": {"content": wanted}, "compare": {"content": {rule: {}}}}
        for id_, (said, wanted, rule) in CHAT_CASES.items()
    ]  # fmt: skip
    rows: list[object] = [
        {
            "id": id_,
            "request": {"do": "reply", "text": text},
            "expected": {"json": wanted},
            "compare": {"json": rule},
        }
        for id_, (text, wanted, rule) in JSON_CASES.items()
    ]
    rows += [{"id": "status-bad", "request": {"do": "reply", "status": 503}, "expected": {"status": 200}}]
    rows += [{"id": "hang-bad", "request": {"do": "hang"}, "expected": {"status": 200}}]
    flaky = [{"id": "flaky", "request": {"do": "turns"}, "expected": {"json": 0}}]
    return {"words": chat, "values": rows, "flaky": flaky}


@pytest.fixture(scope="module")
def stopped(server, campaign, one_load) -> Any:
    servers = {"js": server(), "stall": server("--stall", "1:60")}
    url = servers["js"].url
    text = f"""
campaign: stopped
seed: 3
abort_if: ["throughput < 5/s over 2s"]
targets:
  js: {{protocol: json-http, url: "{url}", timeout: 5s}}
  chat: {{protocol: openai-chat, model: m, url: "{url}", timeout: 20s, stream: false}}
  stall: {{protocol: json-http, url: "{servers["stall"].url}", timeout: 30s}}
  get: {{protocol: json-http, url: "{url}", path: "/status?x=1", method: GET}}
  post:
    protocol: json-http
    url: "{url}"
    path: /score
    model: m7
    headers: {{Authorization: "Bearer ${{env:TRUTH_TOKEN}}"}}
    body: '{{"do": "plain", "n": {{{{ n }}}}, "model": "{{{{ model }}}}"}}'
phases:
  - name: golden
    activities:
      - name: words
        kind: regression
        target: chat
        golden: words.jsonl
        slos: ["pass_rate >= 50%", "pass_rate > 50%"]
      - name: values
        kind: regression
        target: js
        golden: values.jsonl
        batches: 3
        slos: ["never(http_5xx)"]
      - {{name: some, kind: regression, target: chat, golden: words.jsonl, limit: 2, repeats: 3}}
      - {{name: flaky, kind: regression, target: js, golden: flaky.jsonl, repeats: 4}}
"""
    text += one_load("post", "process: constant, rate: 20/s", target="post", duration="1s")
    text += one_load(
        "get",
        "process: constant, rate: 20/s",
        target="get",
        duration="1s",
        data="{file: post.jsonl, at_end: stop}",
    )
    text += "  - name: load\n    activities:\n"
    text += one_load("early", "process: constant, rate: 50/s", duration="1s", slos=["success_rate >= 80%"])
    text += one_load(
        "long", "process: constant, rate: 20/s", target="stall", duration="60s", slos=["success_rate >= 80%"]
    )
    text += "  - name: after\n    activities:\n" + one_load(
        "never", "process: constant, rate: 20/s", duration="9s"
    )
    files = golden() | {"post": [{"n": i} for i in range(5)]}
    files |= {name: [{"do": "plain"}] for name in ("early", "long", "never")}
    return campaign(text, "--workers", "2", files=files, env={"TRUTH_TOKEN": "hush-hush"}), servers


@pytest.mark.parametrize("activity", ["words", "values"])
def test_each_golden_case_is_judged_once_and_a_failing_one_says_why(stopped, activity):
    ended, servers = stopped
    ids = [row["id"] for row in golden()[activity]]  # type: ignore[index]
    cases = ended.activity(activity)["cases"]
    assert cases["judged"] == len(ids)
    assert [one["case"] for one in cases["failed"]] == [id_ for id_ in ids if id_.endswith("-bad")]
    assert all(one["why"] for one in cases["failed"])
    assert sorted(line["index"] for line in servers["js"].requests(activity)) == list(range(len(ids)))


def test_repeats_are_sent_and_a_case_passes_only_if_each_does(stopped):
    ended, servers = stopped
    assert len(servers["js"].requests("some")) == 6
    assert ended.activity("some")["cases"]["judged"] == 2
    cases = ended.activity("flaky")["cases"]
    assert (cases["judged"], cases["passed"]) == (1, 0)
    assert re.match(r"2 of 4 tries failed; try \d: json", cases["failed"][0]["why"])


def test_pass_rate_is_a_census(stopped):
    assert stopped[0].verdicts("words") == {"pass_rate >= 50%": "pass", "pass_rate > 50%": "fail"}
    assert stopped[0].verdicts("values") == {"never(http_5xx)": "fail"}


def test_templates_headers_and_secrets_reach_the_target_and_no_report(stopped):
    ended, servers = stopped
    posts = servers["js"].requests("post")
    assert [json.loads(line["body"]) for line in posts] == [
        {"do": "plain", "n": k % 5, "model": "m7"} for k in range(20)
    ]
    assert {line["headers"]["authorization"] for line in posts} == {"Bearer hush-hush"}
    assert {(line["method"], line["path"]) for line in posts} == {("POST", "/score")}
    gets = servers["js"].requests("get")
    assert [(line["method"], line["path"], line["body"]) for line in gets] == [("GET", "/status?x=1", "")] * 5
    told = [file for file in ended.folder.rglob("*") if file.is_file() and b"hush-hush" in file.read_bytes()]
    assert not told
    assert "hush-hush" not in ended.output


def test_a_stop_is_a_fail_whose_reason_comes_first_and_blames_nobody_who_was_done(stopped):
    ended = stopped[0]
    report = ended.report
    assert ended.code == 1
    assert report["verdict"] == "fail"
    assert report["reasons"][0].startswith("throughput < 5/s over 2s")
    assert ended.activity("early")["verdict"] == "pass"
    assert ended.activity("long")["verdict"] == "invalid"
    assert len(ended.activity("long")["reasons"]) == 1
    assert {one["name"]: one["verdict"] for one in report["phases"]}["after"] is None
    (stop,) = [one for one in report["slos"] if one["place"] == "abort_if"]
    assert stop["verdict"] == "fail"


def test_a_secret_that_is_not_set_makes_the_phase_invalid_by_name(server, campaign, one_load):
    text = f"""
campaign: unset
targets:
  js: {{protocol: json-http, url: "{server().url}", headers: {{X-Key: "${{env:TRUTH_NOT_SET}}"}}}}
phases:
  - name: a
    activities:
{one_load("one", "process: constant, rate: 20/s", duration="1s")}"""
    ended = campaign(text, files={"one": [{}]})
    assert ended.code == 4
    assert "TRUTH_NOT_SET" in " ".join(ended.report["reasons"])


def test_counts_add_up_and_agree_with_the_servers_log(stopped, agrees_with_logs):
    agrees_with_logs(*stopped)
