"""A batch of golden cases through the real engine child against a real target."""

import json

from workers.contract.snapshot import MISSED_GROUP
from workers.contract.spec import FileRef, RegressionSpec, TargetSpec
from workers.engine import wire


def _spec(url: str, **more: object) -> RegressionSpec:
    target = TargetSpec("t", "openai-chat", url, {"url": url, "model": "demo", "stream": True}, 5.0)
    values: dict[str, object] = {
        "campaign": "trial", "phase": "smoke", "activity": "golden", "target": target,
        "golden": FileRef("sha", 1, "chat.jsonl"), "compare": {}, "concurrency": 4, "limit": None,
        "bounds": (), "tag_groups": (("length", "long"),), "seed": 3, "fence_s": 10.0,
    }  # fmt: skip
    return RegressionSpec(**(values | more))  # type: ignore[arg-type]


def _golden(folder, cases):
    path = folder / "chat.jsonl"
    path.write_text("".join(json.dumps(case) + "\n" for case in cases))
    return {"sha": str(path)}


def _case(name: str, words: str, expected: str, **more: object) -> dict[str, object]:
    request = {"messages": [{"role": "user", "content": words}], "max_tokens": 3}
    return {"id": name, "request": request, "expected": {"content": expected}, **more}


def _run(child):
    child.listen(wire.Prepared)
    child.authorise(30)
    child.begin()
    end = child.finished()
    return end, {case.case: case for snapshot in child.snapshots for case in snapshot.cases}


def test_each_case_is_sent_once_and_judged_with_its_reason(demo, engine, tmp_path):
    target = demo("--ttft", "10ms", "--gap", "2ms", "--tokens", "24")
    good = [_case(f"c{at}", f"a{at} b c", f"a{at} b c") for at in range(6)]
    cases = [
        *good,
        _case("long", "x y z", "x y z", tags={"length": "long"}, weight=2.0),
        _case("off", "p q r", "p q s"),
    ]
    child = engine(_spec(target.url), files=_golden(tmp_path, cases))
    end, results = _run(child)
    assert end.outcome == "done"
    assert {name for name, result in results.items() if result.passed} == {
        *[f"c{at}" for at in range(6)],
        "long",
    }
    assert "content" in results["off"].why
    assert (results["long"].weight, results["long"].row, results["long"].outcome) == (2.0, 6, "ok")
    assert target.indices() == list(range(8))
    assert child.outcomes() == {"ok": 8}
    assert child.outcomes("length=long") == {"ok": 1}
    assert child.outcomes(MISSED_GROUP) == {"ok": 1}, "the wrong one, by the second in which it was asked"
    assert child.outcomes(f"{MISSED_GROUP}length=long") == {}


def test_batches_share_the_cases_and_skip_those_already_judged(demo, engine, tmp_path):
    target = demo("--ttft", "5ms", "--gap", "1ms")
    files = _golden(tmp_path, [_case(f"c{at}", f"a{at} b c", f"a{at} b c") for at in range(9)])
    child = engine(_spec(target.url, limit=8), shard=1, of=2, files=files, skip_rows=(3,))
    _, results = _run(child)
    assert sorted(result.row for result in results.values()) == [1, 5, 7]


def test_a_golden_file_that_cannot_be_judged_is_refused_before_anything_is_sent(demo, engine, tmp_path):
    target = demo()
    child = engine(_spec(target.url), files=_golden(tmp_path, [{"id": "x", "request": {}}]))
    end = child.finished()
    assert (end.outcome, "expected" in end.why) == ("error", True)
    assert target.ids() == []


def test_a_case_that_the_protocol_cannot_send_is_refused_by_its_line(demo, engine, tmp_path):
    target = demo()
    cases = [_case("good", "a", "a"), {"id": "odd", "request": {"inputs": []}, "expected": {"content": ""}}]
    child = engine(_spec(target.url), files=_golden(tmp_path, cases))
    end = child.finished()
    assert end.outcome == "error"
    assert "line 2: an openai-chat row needs" in end.why
    assert target.ids() == []


def test_each_round_sends_every_case_again_and_tells_of_it_once(demo, engine, tmp_path):
    target = demo("--ttft", "5ms", "--gap", "1ms")
    files = _golden(tmp_path, [_case("a", "x y z", "x y z"), _case("b", "u v w", "u v w")])
    child = engine(_spec(target.url, repeats=3), files=files)
    _run(child)
    assert sorted(case.row for snapshot in child.snapshots for case in snapshot.cases) == [0, 1]
    assert target.indices() == list(range(6))
