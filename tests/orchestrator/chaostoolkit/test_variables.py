"""Configuration and secrets of an experiment."""

from orchestrator.chaostoolkit.variables import unknown, unresolved, variables_of


def test_no_secret_is_copied_and_each_has_its_place():
    secrets = {
        "a": {"token": "abc", "key": {"type": "env", "key": "THE_KEY"}},
        "b": {"pass": {"type": "vault", "key": "secret/x"}},
    }
    found = variables_of({}, secrets, {})
    assert found.values == {"token": "${env:TOKEN}", "key": "${env:THE_KEY}", "pass": "${file:pass}"}
    assert found.secret == {"token": "${env:TOKEN}", "pass": "${file:pass}"}
    assert "abc" not in str(found)


def test_what_a_probe_is_to_find_out_is_not_known():
    found = variables_of({"a": {"type": "probe", "name": "x"}, "b": {"c": 1}}, {}, {"d": "e"})
    assert found.values == {"b": {"c": 1}, "d": "e"}


def test_a_whole_text_keeps_the_type_of_its_variable():
    found = variables_of({"n": 3, "l": [1]}, {}, {})
    assert found.fill({"a": "${n}", "b": ["x${n}", "${l}"], "c": "${m}"}) == {
        "a": 3,
        "b": ["x3", [1]],
        "c": "${m}",
    }


def test_references_to_the_environment_are_known_and_others_are_not():
    assert unresolved("http://${env:HOST}/") == "${env:HOST}"
    assert unknown("http://${env:HOST}/") == ""
    assert unknown("http://${host}/") == unresolved("http://${host}/") == "${host}"
