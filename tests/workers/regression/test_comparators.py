import json
import math
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.contract.kinds import resolve
from workers.regression import TABLE

NAN, INF = math.nan, math.inf

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def why(rule: str, expected, answer, **options):
    kind = resolve("workers.regression", TABLE, rule)
    return kind.compare(expected, answer, msgspec.convert(options, kind.Options))


def check(rule: str, expected, **options):
    kind = resolve("workers.regression", TABLE, rule)
    return kind.check(expected, msgspec.convert(options, kind.Options))


# exact


@given(JSON)
def test_any_value_is_exactly_itself_and_a_subset_of_itself(value):
    copy = json.loads(json.dumps(value))
    assert why("exact", value, copy) is None
    if not isinstance(value, str):
        assert why("subset", value, copy) is None


@pytest.mark.parametrize(
    ("expected", "answer"), [(1, 1.0), (NAN, NAN), ([], []), ({"a": [NAN]}, {"a": [NAN]})]
)
def test_exact_takes_numbers_by_value_and_nan_as_nan(expected, answer):
    assert why("exact", expected, answer) is None


@pytest.mark.parametrize(
    ("expected", "answer", "words"),
    [
        ("one two", "one twp", "from character 7 on"),
        ("one", "one two", "from character 4 on"),
        ("", "x", "from character 1 on"),
        (1, True, "expected 1, got True"),
        (None, 0, "expected None, got 0"),
        (0, NAN, "expected 0, got nan"),
        ("1", 1, "expected '1', got 1"),
        ([1, [2, 3]], [1, [2, 4]], "at [1][1]: expected 3, got 4"),
        ([1, 2], [1], "expected 2 items, got 1"),
        ({"a": {"b": 1}}, {"a": {}}, "at .a: 'b' is missing"),
        ({"a": 1}, {"a": 1, "b": 2}, "'b' was not expected"),
        ({"a": 1}, [1], "expected {'a': 1}, got [1]"),
    ],
)
def test_exact_tells_the_first_place_that_differs(expected, answer, words):
    assert words in why("exact", expected, answer)


def test_a_difference_in_a_long_text_is_shown_with_its_surroundings_only():
    text = why("exact", "a" * 100_000 + "b", "a" * 100_000 + "c")
    assert "from character 100001 on" in text
    assert len(text) < 200


# close


@pytest.mark.parametrize(
    ("expected", "answer", "options"),
    [
        (1.0, 1.00001, {}),
        (0, 1e-8, {}),
        (100, 101, {"rtol": 0.01, "atol": 0}),
        ([1.0, [NAN, INF]], [1, [NAN, INF]], {}),
        ([], [], {}),
        (10**400, 10**400, {}),
    ],
)
def test_close_allows_atol_and_rtol_of_the_expected(expected, answer, options):
    assert why("close", expected, answer, **options) is None


@pytest.mark.parametrize(
    ("expected", "answer", "words"),
    [
        (1.0, 1.0001, "off by 0.0001, allowed 1.001e-05"),
        (0.0, 1.1e-8, "expected 0.0, got 1.1e-08"),
        ([1, 2], [1, 3], "at [1]: expected 2, got 3"),
        ([1, 2], [1, 2, 3], "expected 2 numbers, got 3"),
        ([1, [2]], [1, 2], "at [1]: expected [2], got 2"),
        (NAN, 1.0, "expected nan, got 1.0"),
        (1.0, NAN, "expected 1.0, got nan"),
        (INF, -INF, "expected inf, got -inf"),
        (INF, 1e308, "expected inf, got 1e+308"),
        (1e308, INF, "expected 1e+308, got inf"),
        (1, True, "expected 1, got True"),
        (1, "1", "expected 1, got '1'"),
        (1, None, "expected 1, got None"),
        (10**400, 1.0, "expected 1000"),
    ],
)
def test_close_tells_the_first_number_out_of_tolerance(expected, answer, words):
    assert words in why("close", expected, answer)


@given(st.floats(allow_nan=False), st.floats(allow_nan=False), st.floats(0, 1), st.floats(0, 1))
def test_close_is_the_formula_of_the_contract(expected, answer, rtol, atol):
    if math.isinf(expected) or math.isinf(answer):
        formula = expected == answer
    else:
        distance = abs(answer - expected)
        formula = distance <= atol + rtol * abs(expected) and distance < INF
    assert (why("close", expected, answer, rtol=rtol, atol=atol) is None) == formula


def test_close_refuses_an_expectation_that_is_no_number_and_a_negative_tolerance():
    assert "numbers" in check("close", ["a"])
    assert check("close", [[1], 2.5]) is None
    with pytest.raises(msgspec.ValidationError, match="rtol"):
        check("close", 1, rtol=-1)
    with pytest.raises(msgspec.ValidationError, match="rtoll"):
        check("close", 1, rtoll=1)


# subset


@pytest.mark.parametrize(
    ("expected", "answer"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}, 3]}),
        ({}, {"a": 1}),
        ([], [1]),
        ({"a": 1}, '{"a": 1, "b": 2}'),
        (None, None),
    ],
)
def test_subset_lets_the_answer_hold_more(expected, answer):
    assert why("subset", expected, answer) is None


@pytest.mark.parametrize(
    ("expected", "answer", "words"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "at .a.b: expected 1, got 2"),
        ({"a": 1}, {}, "'a' is missing"),
        ([1, 2], [1], "at least 2 items, got 1"),
        ([1, 2], [2, 1], "at [0]: expected 1, got 2"),
        ({"a": 1}, "no json", "not JSON"),
        ({"a": 1}, None, "got None"),
        ({"a": True}, {"a": 1}, "at .a: expected True, got 1"),
    ],
)
def test_subset_tells_what_is_missing(expected, answer, words):
    assert words in why("subset", expected, answer)


# regex


def test_regex_matches_all_of_the_text():
    assert why("regex", "go( go){2}", "go go go") is None
    assert "does not match" in why("regex", "go", "go go")
    assert "expected text" in why("regex", "go", None)


def test_regex_names_a_broken_pattern_before_any_request():
    assert "broken" in check("regex", "(")
    assert "text" in check("regex", 3)
    assert check("regex", "a+") is None


def test_regex_that_backtracks_without_end_is_stopped():
    begun = time.process_time()
    text = why("regex", "(a|aa)+$", "a" * 60 + "b")
    assert "took over 1 s" in text
    assert time.process_time() - begun < 3


def test_regex_leaves_no_timer_behind():
    import signal

    assert why("regex", "a", "a") is None
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGVTALRM) == signal.SIG_DFL


def test_regex_does_not_match_a_text_beyond_its_bound():
    assert "1,048,576" in why("regex", "a*", "a" * (1024 * 1024 + 1))
    assert why("regex", "a*", "a" * (1024 * 1024)) is None


# json_schema

SCHEMA = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "minimum": 1}}}


def test_json_schema_takes_an_object_or_its_text():
    assert why("json_schema", SCHEMA, {"n": 1}) is None
    assert why("json_schema", SCHEMA, '{"n": 1}') is None
    assert why("json_schema", {"type": "string", "minLength": 2}, "ab") is None
    assert "at $.n: 0 is less than the minimum of 1" in why("json_schema", SCHEMA, '{"n": 0}')
    assert "'n' is a required property" in why("json_schema", SCHEMA, {})
    assert "expected JSON" in why("json_schema", SCHEMA, "words")


def test_json_schema_names_a_broken_schema_before_any_request():
    assert "broken" in check("json_schema", {"type": "nothing"})
    assert "mapping" in check("json_schema", "x")
    assert check("json_schema", SCHEMA) is None


@pytest.mark.parametrize("place", ["http://127.0.0.1:9/schema.json", "file:///etc/hostname", "/etc/hostname"])
def test_json_schema_fetches_no_reference(place):
    text = why("json_schema", {"$ref": place}, {})
    assert "not inside it" in text


def test_json_schema_with_a_pattern_that_backtracks_without_end_is_stopped():
    text = why("json_schema", {"type": "string", "pattern": "^(a|aa)+$"}, "a" * 60 + "b")
    assert "took over 1 s" in text


# top_k


@pytest.mark.parametrize(
    ("expected", "answer", "options"),
    [
        ([3, 1, 2], [2, 1, 3], {"k": 3}),
        ([1, 2, 3, 4], [1, 2, 9, 8], {"k": 4, "overlap": 0.5}),
        ([1, 2], [2, 1, 7], {"k": 10}),
        ([], [1], {"k": 3}),
        (["a", {"b": 1}], [{"b": 1}, "a"], {"k": 2}),
        (list(range(10)), [*range(9), 99], {"k": 10, "overlap": 0.9}),
        ([1, 2], [2.0, 1.0], {"k": 2}),
    ],
)
def test_top_k_counts_what_is_among_the_first_k_in_any_order(expected, answer, options):
    assert why("top_k", expected, answer, **options) is None


@pytest.mark.parametrize(
    ("expected", "answer", "options", "words"),
    [
        (
            [1, 2, 3],
            [1, 2, 9, 3],
            {"k": 3},
            "2 of the first 3 are in the first 3, 100% wanted; first missing: 3",
        ),
        ([1, 1], [1, 2], {"k": 2}, "first missing: 1"),
        ([1], [True], {"k": 1}, "0 of the first 1"),
        ([1], [], {"k": 1}, "0 of the first 1"),
        ([1], None, {"k": 1}, "compares lists"),
    ],
)
def test_top_k_tells_the_first_that_is_missing(expected, answer, options, words):
    assert words in why("top_k", expected, answer, **options)


def test_top_k_needs_a_k_of_at_least_one_and_a_share():
    for options in ({}, {"k": 0}, {"k": 1, "overlap": 1.1}):
        with pytest.raises(msgspec.ValidationError):
            check("top_k", [1], **options)
    assert "lists" in check("top_k", 3, k=1)


# all


@given(JSON, JSON)
def test_no_pair_of_values_raises_and_every_reason_is_short(expected, answer):
    for rule in ("exact", "close", "subset", "top_k"):
        text = why(rule, expected, answer, **({"k": 2} if rule == "top_k" else {}))
        assert text is None or 0 < len(text) <= 300
