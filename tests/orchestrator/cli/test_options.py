"""What is typed at options that several commands share."""

import pytest
import typer

from orchestrator.cli.options import labels_of, max_time_s


def test_labels_are_kept_as_typed_with_equals_signs_in_their_values():
    typed = ["team=search", "ref=refs/heads/a=b", "ci.example/job=https://ci/job?id=1", "team=search"]
    assert labels_of(typed) == {
        "team": "search", "ref": "refs/heads/a=b", "ci.example/job": "https://ci/job?id=1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("team", "say KEY=VALUE"),
        ("=x", "a key is up to 63"),
        ("team=", "say KEY=VALUE"),
        ("a b=c", "a key is up to 63"),
        ("a=b\nc", "printable"),
        ("a=" + "x" * 300, "up to 256"),
    ],
)
def test_a_label_that_cannot_be_read_is_named_and_so_are_all_others(typed, words, capsys):
    with pytest.raises(typer.Exit) as ended:
        labels_of([typed, "ok=1", "ok=2"])
    assert ended.value.exit_code == 2
    said = capsys.readouterr().err.splitlines()
    assert words in said[0]
    assert said[1] == "shakeout: --label 'ok=2': ok is '1' already"


def test_more_labels_than_are_kept_are_refused(capsys):
    with pytest.raises(typer.Exit):
        labels_of([f"k{number}=v" for number in range(40)])
    assert "40 labels; at most 32" in capsys.readouterr().err


def test_max_time_is_a_duration_as_in_the_campaign_file():
    assert (max_time_s(""), max_time_s("1.5h"), max_time_s("90s")) == (0.0, 5400.0, 90.0)


@pytest.mark.parametrize(
    ("typed", "words"), [("10", "say 10s"), ("0s", "longer than 0s"), ("5min", "say 5m")]
)
def test_a_max_time_that_is_no_duration_says_what_to_write(typed, words, capsys):
    with pytest.raises(typer.Exit) as ended:
        max_time_s(typed)
    assert ended.value.exit_code == 2
    said = capsys.readouterr().err
    assert f"--max-time {typed!r}" in said
    assert words in said
