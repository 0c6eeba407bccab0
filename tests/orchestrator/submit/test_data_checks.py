"""What is wrong inside data files, traces, histograms and tokenizers, found before anything runs."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestrator.campaign.load import load_campaign
from orchestrator.errors import CampaignFileError
from orchestrator.submit.data_checks import MOST_PROBLEMS, check_data, prove_data

HEAD = """\
campaign: c
seed: 1
targets:
  chat: {protocol: openai-chat, model: m, url: "http://127.0.0.1:9"}
  any: {protocol: json-http, url: "http://127.0.0.1:9"}
  limited: {protocol: openai-chat, model: m, url: "http://127.0.0.1:8", rate_limit: 5/s}
phases:
  - name: p
    activities:
"""
GOOD = '{"prompt": "a"}\n'
AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n"


@pytest.fixture
def problems(tmp_path):
    """Problems of one load with these keys, beside files of these names."""

    def check(
        keys="", *, target="chat", files=None, rate="arrivals: {process: constant, rate: 5/s}, duration: 60s"
    ):
        for name, content in (files or {}).items():
            if isinstance(content, str):
                (tmp_path / name).write_text(content)
            else:
                pq.write_table(pa.table(content), tmp_path / name)
        activity = f"      - {{name: a, kind: load, target: {target}, {rate}, {keys}}}\n"
        (tmp_path / "c.yaml").write_text(HEAD + activity)
        return check_data(load_campaign(tmp_path / "c.yaml"))

    return check


def said(found):
    return "\n".join(problem.message + (f" ({problem.hint})" if problem.hint else "") for problem in found)


@pytest.mark.parametrize(
    ("target", "content"),
    [
        ("chat", GOOD + "\n" + '{"messages": [{"role": "user", "content": "b"}]}\n'),
        ("chat", '{"request": {"messages": []}, "tags": {"a": "b"}, "id": "x"}\n'),
        ("chat", json.dumps({"timestamp": 1, "input_length": 5, "output_length": 3}) + "\n"),
        ("any", '{"ContextTokens": "anything", "GeneratedTokens": -1}\n'),
    ],
)
def test_rows_that_can_be_sent_are_right(problems, target, content):
    assert problems("data: d.jsonl", target=target, files={"d.jsonl": content}) == ()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("d.jsonl", GOOD + "\n" + '{"prom": "a"}\n', 'd.jsonl:3: an openai-chat row needs "messages"'),
        ("d.jsonl", GOOD + "{broken\n[1]\n", "d.jsonl:2: not JSON"),
        ("d.jsonl", GOOD + "{broken\n[1]\n", "d.jsonl:3: a row is a JSON object"),
        ("d.jsonl", "\n", "d.jsonl has no rows"),
        (
            "d.jsonl",
            '{"request": {"messages": []}, "tags": ["a"]}\n',
            'd.jsonl:1: "tags" must map text to text',
        ),
        ("d.jsonl", '{"input_length": -5, "output_length": 3}\n', "d.jsonl:1: input_length must be a whole"),
        (
            "d.jsonl",
            GOOD + '{"input_length": 5, "output_length": 3}\n',
            "d.jsonl:2: an openai-chat row needs",
        ),
        ("d.csv", "prompt,x\na,1\n,2\n", "d.csv:row 2: an openai-chat row needs"),
        ("d.csv", "prompt,request\na,{\n", "d.csv:row 1: column request holds no JSON"),
        ("d.csv", "prompt,x\na\n", "d.csv cannot be read as csv"),
        ("d.csv", AZURE + "2024-01-01,5,x\n", "d.csv cannot be read as csv"),
        (
            "d.csv",
            AZURE + "2024-01-01,5,2\n2024-01-01,5,-2\n",
            "d.csv:row 2: GeneratedTokens must be a whole",
        ),
        ("d.parquet", {"prompt": ["a", None]}, "d.parquet:row 2: an openai-chat row needs"),
    ],
)
def test_a_broken_row_is_named_by_its_line_at_the_key_that_names_the_file(problems, name, content, words):
    found = problems(f"data: {name}", files={name: content})
    assert words in said(found)
    assert [problem.path for problem in found] == ["phases[0].activities[0].data"]
    assert (found[0].line, found[0].column > 1) == (10, True)


def test_a_file_of_nothing_but_broken_rows_names_the_first_of_them(problems):
    message = problems("data: d.jsonl", files={"d.jsonl": "{\n" * 5000})[0].message
    assert len(message.splitlines()) == MOST_PROBLEMS + 1
    assert "the rest of the file was not looked at" in message


def test_a_tag_column_must_be_in_every_row_and_an_objective_needs_rows_with_its_value(problems):
    rows = '{"prompt": "a", "country": "DE"}\n{"prompt": "b", "country": "AT"}\n'
    keys = "data: {file: d.jsonl, tags: [country]}, slos: [p50(latency) < 1s for country="
    assert problems(keys + "DE]", files={"d.jsonl": rows}) == ()
    assert "no row of d.jsonl has country=FR (country is one of AT, DE)" in said(problems(keys + "FR]"))
    assert "d.jsonl:3: column 'country' is missing" in said(
        problems(keys + "DE]", files={"d.jsonl": rows + GOOD})
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"turns": ["a", "b"]}\n{"turns": ["c"]}\n', ""),
        (GOOD + GOOD, ""),
        ('{"turns": ["a", "b"]}\n' + GOOD, "d.jsonl:2: where one row holds a whole conversation all do"),
        (GOOD + '{"turns": ["a"]}\n', "d.jsonl:2: a turn needs"),
    ],
)
def test_rows_of_sessions_are_turns_or_whole_conversations(problems, content, words):
    found = problems("data: d.jsonl, sessions: {turns: 2}", files={"d.jsonl": content})
    assert words in said(found) if words else found == ()


def test_a_histogram_and_a_tokenizer_are_read(problems):
    keys = "data: {synthetic: {input_tokens: {histogram: h.csv}, output_tokens: 3}}"
    assert problems(keys, files={"h.csv": "5,1\n"}) == ()
    found = problems(keys, files={"h.csv": "5,1\nx,2\n"})
    assert "h.csv:2: a length is a whole number" in said(found)
    assert found[0].path.endswith("data.synthetic.input_tokens.histogram")


@pytest.mark.parametrize(
    ("content", "words"), [('{"model": {}}', ""), ("{}", "it has no `model`"), ("x", "not JSON")]
)
def test_a_tokenizer_is_a_tokenizer_json(problems, tmp_path, content, words):
    (tmp_path / "t.json").write_text(content)
    head = HEAD.replace("model: m, url", "model: m, tokenizer: t.json, url", 1)
    activity = (
        "      - {name: a, kind: load, target: chat, arrivals: {process: constant, rate: 5/s}, duration: 60s,"
        " data: {synthetic: {input_tokens: 5, output_tokens: 3}}}\n"
    )
    (tmp_path / "c.yaml").write_text(head + activity)
    found = check_data(load_campaign(tmp_path / "c.yaml"))
    assert [words in problem.message for problem in found] == ([True] if words else [])


TRACE = "arrivals: {process: trace, trace: t.csv}"
TEN_S = "timestamp\n" + "".join(f"{at}\n" for at in range(11))


@pytest.mark.parametrize(
    ("keys", "target", "content", "words"),
    [
        ("data: d.jsonl", "chat", TEN_S, ""),
        ("data: d.jsonl", "chat", TEN_S + "9\n", "t.csv:13: timestamp goes backwards, from 10 to 9"),
        ("data: d.jsonl", "chat", "when\n1\n", "t.csv is no trace that is known"),
        ("data: d.jsonl, warmup: 11s", "chat", TEN_S, "leaves nothing to judge: the trace is 10.001s long"),
        (
            "data: d.jsonl, slos: [success_rate >= 99% over 1m]",
            "chat",
            TEN_S,
            "looks at 60s; the judged span is",
        ),
        ("data: d.jsonl", "limited", TEN_S, ""),
        (
            "data: d.jsonl",
            "limited",
            TEN_S + "10\n" * 6,
            "up to 7/s are offered; target limited has rate_limit 5/s",
        ),
    ],
)
def test_a_trace_is_read_and_held_against_what_stands_beside_it(problems, keys, target, content, words):
    found = problems(keys, target=target, rate=TRACE, files={"t.csv": content, "d.jsonl": GOOD})
    assert words in said(found) if words else found == ()


def test_a_fault_must_end_before_recorded_traffic_does(tmp_path):
    (tmp_path / "t.csv").write_text(TEN_S)
    activities = (
        "      - {name: a, kind: load, target: chat, arrivals: {process: trace, trace: t.csv},"
        " data: {synthetic: {input_tokens: 5, output_tokens: 3}}}\n"
        "      - {name: f, kind: chaos, fault: pause-process, at: 7s, for: 4s, match: {port: 9}}\n"
    )
    (tmp_path / "c.yaml").write_text(HEAD + activities)
    found = check_data(load_campaign(tmp_path / "c.yaml"))
    assert [(one.path, "the fault ends at 11s" in one.message) for one in found] == [
        ("phases[0].activities[1].at", True)
    ]


def test_what_run_and_plan_do_with_it_is_an_error_of_the_campaign_file(tmp_path, problems):
    problems("data: d.jsonl", files={"d.jsonl": "{\n"})
    with pytest.raises(CampaignFileError, match=r"d.jsonl:1: not JSON"):
        prove_data(load_campaign(tmp_path / "c.yaml"))


def test_a_golden_case_that_the_protocol_cannot_send_is_told_by_its_line(tmp_path):
    rows = [
        {"id": "a", "request": {"prompt": "x"}, "expected": {"content": "x"}},
        {"id": "b", "request": {"inputs": []}, "expected": {"content": "x"}},
    ]
    (tmp_path / "g.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    activity = "      - {name: a, kind: regression, target: %s, golden: g.jsonl}\n"
    for target, wanted in (("chat", ['g.jsonl:2: an openai-chat row needs "messages"']), ("any", [])):
        (tmp_path / "c.yaml").write_text(HEAD + activity % target)
        found = check_data(load_campaign(tmp_path / "c.yaml"))
        assert [problem.message[: len(words)] for problem, words in zip(found, wanted, strict=True)] == wanted


def test_turns_of_conversations_are_proved_row_by_row(problems):
    keys = 'data: rows.jsonl, sessions: {turns: 2}, slos: ["p99(ttft) < 1s for turn=2"]'
    assert problems(keys, files={"rows.jsonl": '{"turns": ["a", "b"]}\n{"turns": ["c"]}\n'}) == ()
    assert problems(keys, files={"rows.jsonl": GOOD}) == ()
    found = said(problems(keys, files={"rows.jsonl": '{"turns": ["a"]}\n{"turns": [1]}\n' + GOOD}))
    assert "rows.jsonl:2: a turn is text" in found
    assert "rows.jsonl:3: where one row holds a whole conversation all do" in found
