import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.campaign.yaml_reader import MAX_NODES, Place, YamlError, decode, plain, read


def value_of(text):
    return plain(read(text))


def flaws_of(text):
    with pytest.raises(YamlError) as caught:
        read(text)
    return caught.value.flaws


@pytest.mark.parametrize(
    "text",
    [
        "09:30",
        "16:00",
        "2026-12-20",
        "on",
        "yes",
        "no",
        "1_000",
        "0x10",
        "0o7",
        "True",
        ".inf",
        ".NaN",
        "0o17",
        "0x1F",
        "NULL",
        "1.5s",
        "1e",
        "2026-12-20T10:00:00Z",
        "1:30:00",
        "=",
    ],
)
def test_what_yaml_1_1_would_turn_into_something_stays_text(text):
    assert value_of(f"key: {text}") == {"key": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("1e-3", 0.001),
        ("1.5", 1.5),
        (".5", 0.5),
        ("010", 10),
        ("+5", 5),
        ("-0", 0),
        ("1.", 1.0),
        ("1E3", 1000.0),
        ("'1'", "1"),
        ('"12"', "12"),
        ("'true'", "true"),
    ],
)
def test_the_core_schema_knows_words_and_decimal_numbers(text, value):
    found = value_of(f"key: {text}")["key"]
    assert found == value
    assert type(found) is type(value)


def test_a_duplicate_key_is_refused_with_both_places():
    (flaw,) = flaws_of("a: 1\nb: 2\na: 3\n")
    assert flaw.place == Place(3, 1)
    assert "first on line 1" in flaw.message


def test_all_flaws_of_the_yaml_come_at_once():
    assert [flaw.place.line for flaw in flaws_of("a: 1\na: 2\nb: !!str x\n---\nc: 1\n")] == [2, 3, 4]


@pytest.mark.parametrize("tag", ["!!python/object:os.system", "!mine", "!!int"])
def test_tags_are_refused(tag):
    assert "tags are not read" in flaws_of(f"a: {tag} 1")[0].message


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("!!str a: 1\n", Place(1, 1), "tags are not read"),
        ("a: &a {p: 1}\nb: {<<: *a, <<: *a}\n", Place(2, 13), "stands twice"),
        ("a: {<<: 3}\n", Place(1, 5), "<< takes a mapping"),
        ("a: *b\n", Place(1, 4), "has no anchor before it"),
        ("? [a]\n: 1\n", Place(1, 3), "a key must be text"),
        ("a: [1,\nb: 2\n", Place(1, 4), "a [ that is never closed"),
        ("a: {b: 1\n", Place(1, 4), "a { that is never closed"),
        ('a: "b\n', Place(1, 4), "a quote that is never closed"),
        ("a: b: c\n", Place(1, 5), 'a second ": "'),
        ("a: 1\n b: 2\n", Place(2, 3), "a key deeper than it may be"),
        ("a:\n  b: 1\n c: 2\n", Place(3, 2), "indented neither"),
        ("a: 1\nb\nc: 2\n", Place(2, 1), "a key without `: `"),
        ("a: @b\n", Place(1, 4), "cannot begin with @"),
        ("a:\n\tb: 1\n", Place(2, 1), "a tab cannot begin a value"),
        ("a: 1\r\nb: 1\r\na: 2\r\n", Place(3, 1), "stands twice"),
    ],
)
def test_a_mistake_of_form_is_told_in_words_at_its_place(text, place, words):
    flaw = flaws_of(text)[0]
    assert flaw.place == place
    assert words in flaw.message


def test_block_scalars_byte_order_marks_and_directives_are_read():
    assert value_of("a: |\n  x\n  y\nb: >-\n  x\n  y\n") == {"a": "x\ny\n", "b": "x y"}
    assert plain(read(decode(b"\xef\xbb\xbfa: 1\r\n"))) == {"a": 1}
    assert value_of("%YAML 1.2\n---\na: 1\n...\n") == {"a": 1}


def test_anchors_and_merges_are_followed_and_own_keys_win():
    text = "x: &a {p: 1, q: 2}\ny: {<<: *a, q: 3}\nz: {<<: [*a, {r: 4, p: 9}]}\n"
    assert value_of(text) == {"x": {"p": 1, "q": 2}, "y": {"q": 3, "p": 1}, "z": {"p": 1, "q": 2, "r": 4}}


def test_a_billion_laughs_stop_at_the_limit_of_nodes():
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert f"{MAX_NODES:,}" in flaws_of("\n".join(lines))[-1].message


def test_a_billion_laughs_by_merge_keys_stop_too():
    keys = ", ".join(f"k{n}: 1" for n in range(900))
    lines = [f"a: &a {{{keys}}}", *(f"b{n}: {{<<: *a}}" for n in range(100))]
    assert f"{MAX_NODES:,}" in flaws_of("\n".join(lines))[-1].message


def test_an_alias_inside_its_own_anchor_is_refused():
    assert "inside its own anchor" in flaws_of("a: &a [*a]")[0].message


def test_nesting_is_bounded_before_the_stack_is():
    assert "32 levels" in flaws_of("[" * 5000)[0].message
    assert (
        "32 levels"
        in flaws_of("a: &a " + "[" * 20 + "]" * 20 + "\nb: " + "[" * 20 + "*a" + "]" * 20)[0].message
    )


def test_broken_utf_8_is_an_error_with_its_place():
    with pytest.raises(YamlError) as caught:
        decode("campaign: ä\nname: ".encode() + b"\xff\n")
    (flaw,) = caught.value.flaws
    assert flaw.place == Place(2, 7)
    assert "0xff" in flaw.message


def test_a_control_character_is_an_error_with_its_place():
    (flaw,) = flaws_of("a: 1\nb: \x07\n")
    assert flaw.place == Place(2, 4)


def test_a_file_that_is_too_large_or_empty_is_refused():
    with pytest.raises(YamlError, match="1 MiB"):
        decode(b"#" * ((1 << 20) + 1))
    assert "empty" in flaws_of("# nothing\n")[0].message


def test_an_unquoted_comparison_in_braces_gets_the_hint_to_quote():
    (flaw,) = flaws_of("where: {gpus: >=1}\n")
    assert flaw.place.line == 1
    assert "quote text" in flaw.hint


def test_a_number_beyond_all_bounds_is_refused():
    assert "digits" in flaws_of("a: " + "9" * 5000)[0].message
    assert "too large" in flaws_of("a: 1e999")[0].message


def refused(attempt):
    try:
        attempt()
    except YamlError as error:
        return error.flaws
    return None


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_a_place(text):
    flaws = refused(lambda: read(text))
    assert flaws is None or flaws
    assert all(flaw.place.line >= 1 and flaw.place.column >= 1 for flaw in flaws or ())


@given(st.binary(max_size=200))
def test_bytes_are_refused_exactly_where_they_are_no_utf_8(raw):
    try:
        raw.decode()
    except UnicodeDecodeError:
        assert refused(lambda: decode(raw))
    else:
        assert refused(lambda: decode(raw)) is None
