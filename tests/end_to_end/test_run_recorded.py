"""Recorded traffic and lengths, as a user replays them; a killed coordinator finds the same schedule."""

import random

import pytest

ROWS = 160
CAMPAIGN = """
campaign: recorded
seed: 11
validity: {{lag_p99: 2s, start_skew: 10s}}
targets:
  chat: {{protocol: openai-chat, model: demo, url: "{url}", timeout: 20s{more}}}
phases:
  - name: peak
    activities:
      - name: peak-load
        kind: load
        target: chat
        shards: 2
        arrivals: {{process: trace, trace: t.csv, speed: 2}}
        data: {{file: t.csv, tags: [Model]}}
        warmup: 1s
        slos: ["success_rate >= 90%", "success_rate >= 50% for Model=b"]
"""


@pytest.fixture
def rows(tmp_path):
    """A recording of 16 s beside the campaign file: (second, tokens in, tokens out, model)."""
    draw = random.Random(3)
    rows, at = [], 1_000.0
    for _ in range(ROWS):
        rows.append((at, draw.randint(1, 200), draw.randint(1, 12), draw.choice("aab")))
        at += draw.expovariate(15)
    lines = (f"{at:.6f},{model},{given},{made}\n" for at, given, made, model in rows)
    (tmp_path / "t.csv").write_text("Timestamp,Model,Request tokens,Response tokens\n" + "".join(lines))
    return rows


def test_a_recording_is_replayed_whole_though_the_coordinator_is_killed(run, target, rows, until):
    demo = target("--ttft", "5ms", "--gap", "1ms", "--tokens", "400")
    one = run(CAMPAIGN.format(url=demo.url, more=""))
    until(lambda: len(demo.received()) > 50)
    (coordinator,) = one.find("orchestrator", "coordinator")
    coordinator.kill()
    assert one.wait() == 0, one.output
    assert demo.indices("peak-load") == dict.fromkeys(range(ROWS), 1)
    counts = one.report()["activities"]["peak-load"]["requests"]
    judged = [row for row in rows if row[0] - rows[0][0] >= 2.0]
    assert (counts["scheduled"], counts["unknown"], counts["unsent"]) == (len(judged), 0, 0)
    activity = one.report()["activities"]["peak-load"]
    assert activity["duration_s"] == pytest.approx((rows[-1][0] - rows[0][0]) / 2, abs=0.002)
    assert activity["tokens"] == {
        "input": sum(given for _, given, _, _ in judged), "output": sum(made for _, _, made, _ in judged),
    }  # fmt: skip
    of_b = next(one for one in one.report()["slos"] if "Model=b" in one["slo"])
    assert of_b["samples"] == sum(model == "b" for *_, model in judged)


def test_a_target_without_usage_is_counted_by_the_tokenizer(run, target, rows, tmp_path):
    tokenizers = pytest.importorskip("tokenizers", reason="needs the package tokenizers (extra `text`)")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    made.save(str(tmp_path / "tokenizer.json"))
    more = ", tokenizer: tokenizer.json, extra_body: {stream_options: {include_usage: false}}"
    text = CAMPAIGN.format(url=target("--ttft", "5ms", "--gap", "1ms", "--tokens", "400").url, more=more)
    text = text.replace("warmup: 1s", "max_in_flight: 200").replace("speed: 2", "speed: 4")
    one = run(text)
    assert one.wait() == 0, one.output
    activity = one.report()["activities"]["peak-load"]
    assert activity["requests"]["ok"] == ROWS
    assert activity["tokens"] == {"input": 0, "output": sum(made for _, _, made, _ in rows)}
    assert activity["tpot_s"]["count"] == sum(made >= 2 for _, _, made, _ in rows)


def test_a_recording_that_goes_backwards_is_refused_with_its_line_before_anything_starts(
    run, target, tmp_path
):
    (tmp_path / "t.csv").write_text("Timestamp,Model,Request tokens,Response tokens\n5,a,1,1\n4,a,1,1\n")
    demo = target()
    one = run(CAMPAIGN.format(url=demo.url, more=""))
    assert one.wait() == 2, one.output
    assert "t.csv:3: Timestamp goes backwards, from 5 to 4" in one.output
    assert not one.folder.exists()
    assert demo.received() == []
