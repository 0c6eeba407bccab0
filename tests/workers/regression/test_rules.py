import pytest

from workers.contract.errors import DataError
from workers.contract.files.golden import Case
from workers.protocols.contract import Answer, failed
from workers.regression.rules import check_cases, expected_of, judge_case, parse_rules


def case(expected=None, compare=None, line=1) -> Case:
    return Case(
        id=f"c{line}", request={}, expected=expected, compare=compare or {}, tags={}, weight=1.0, line=line
    )


def answer(**fields) -> Answer:
    return Answer({"status": 200, **fields}, None, None, ok=True, kind="ok")


def test_the_rule_follows_the_type_where_none_is_given():
    expected = {
        "content": "a",
        "score": 1.0,
        "scores": [1, [2.5]],
        "flags": [True],
        "json": {"a": 1},
        "none": None,
    }
    got = answer(
        content="a", score=1.000001, scores=[1, [2.5]], flags=[True, False], json={"a": 1, "b": 2}, none=None
    )
    verdict = judge_case(case(expected), got, ())
    assert verdict.passed
    assert {field.field: field.rule for field in verdict.fields} == {
        "status": "exact",
        "content": "exact",
        "score": "close",
        "scores": "close",
        "flags": "subset",
        "json": "subset",
        "none": "subset",
    }


def test_the_rows_rule_comes_before_the_activitys():
    rules = parse_rules({"content": {"exact": {}}, "score": {"close": {"atol": 1}}})
    verdict = judge_case(
        case({"content": "g.", "score": 1}, {"content": {"regex": {}}}), answer(content="go", score=2), rules
    )
    assert verdict.passed
    assert [field.rule for field in verdict.fields] == ["exact", "regex", "close"]


def test_a_field_that_is_not_expected_is_not_compared():
    verdict = judge_case(case({"content": "a"}), answer(content="a", finish_reason="length"), ())
    assert verdict.passed


def test_every_field_has_its_verdict_and_the_first_reason_is_told():
    verdict = judge_case(case({"content": "a", "score": 1}), answer(content="b", score=2), ())
    assert not verdict.passed
    assert verdict.why.startswith("content: differs from character 1")
    assert [field.why is None for field in verdict.fields] == [True, False, False]


def test_a_field_that_the_answer_lacks_fails_and_says_what_there_is():
    verdict = judge_case(case({"contents": "a"}), answer(content="a"), ())
    assert verdict.why == "contents: the answer has no such field (it has: content, status)"


def test_status_200_is_expected_unless_the_case_says_otherwise():
    refused = failed("http_400", "HTTP 400: bad", {"status": 400, "text": "bad"})
    assert judge_case(case({"status": 400, "text": "bad"}), refused, ()).passed
    verdict = judge_case(case({"text": "bad"}), refused, ())
    assert not verdict.passed
    assert verdict.why == "status: expected 200, got 400 (HTTP 400: bad)"
    assert not judge_case(case({"status": 400}), answer(), ()).passed


@pytest.mark.parametrize("kind", ["timeout", "reset", "connect"])
def test_an_answer_that_never_came_fails_with_its_reason(kind):
    verdict = judge_case(case({"content": "a"}), failed(kind, "", {}), ())
    assert (verdict.passed, verdict.why, verdict.fields) == (False, f"no answer: {kind}", ())


@pytest.mark.parametrize("kind", ["incomplete", "invalid"])
def test_a_broken_answer_fails_though_its_status_is_as_expected(kind):
    verdict = judge_case(case({"status": 200}), failed(kind, "cut off", {"status": 200}), ())
    assert (verdict.passed, verdict.why) == (False, f"{kind}: cut off")


def test_nothing_expected_means_status_200_alone():
    assert judge_case(case(), answer(content="x"), ()).passed


@pytest.mark.parametrize(
    ("compare", "words"),
    [
        ({"content": {}}, "one rule"),
        ({"content": "exact"}, "one rule"),
        ({"content": {"exact": {}, "regex": {}}}, "one rule"),
        ({"content": {"exakt": {}}}, "did you mean exact"),
        ({"scores": {"close": {"tol": 1}}}, "compare.scores.close.*tol"),
        ({"ranking": {"top_k": {}}}, "compare.ranking.top_k.*k"),
    ],
)
def test_a_broken_rule_is_named_by_field(compare, words):
    with pytest.raises(DataError, match=words):
        parse_rules(compare)


def test_every_case_that_cannot_be_judged_is_listed_before_any_request():
    cases = [
        case({"content": "("}, {"content": {"regex": {}}}, line=1),
        case({"content": "ok"}, line=2),
        case({"scores": ["a"]}, {"scores": {"close": {}}}, line=3),
        case({"x": 1}, {"x": {"nope": {}}}, line=4),
    ]
    with pytest.raises(DataError) as caught:
        check_cases(cases, (), path="golden.jsonl")
    text = str(caught.value)
    assert [f"line {n}:" in text for n in (1, 2, 3, 4)] == [True, False, True, True]
    check_cases([cases[1]], (), path="golden.jsonl")


def test_at_most_twenty_bad_cases_are_listed_then_counted():
    cases = [case({"c": "("}, {"c": {"regex": {}}}, line=n) for n in range(1, 31)]
    with pytest.raises(DataError) as caught:
        check_cases(cases, (), path="golden.jsonl")
    assert str(caught.value).count("line ") == 20
    assert "and 10 more" in str(caught.value)


def test_a_baselines_answer_makes_what_is_expected():
    call = {"id": "r4nd0m", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    chat = answer(content="a", reasoning="hm", finish_reason="stop", tool_calls=[call], text="..", json={})
    expected = expected_of(chat, ())
    assert set(expected) == {"status", "content", "finish_reason", "tool_calls"}
    assert "id" not in expected["tool_calls"][0]
    assert judge_case(case(expected), chat, ()).passed
    assert expected_of(answer(json={"a": 1}, text=".."), ()) == {"status": 200, "json": {"a": 1}}
    rules = parse_rules({"text": {"exact": {}}})
    assert expected_of(answer(json={"a": 1}, text=".."), rules) == {"status": 200, "text": ".."}
