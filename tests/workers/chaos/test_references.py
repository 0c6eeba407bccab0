"""Secrets of options: found where they are used, shown nowhere."""

import pytest

from workers.chaos import references
from workers.contract.errors import FaultError

OPTIONS = {"a": "x ${env:ONE} y", "b": [{"c": "${file:two}"}], "d": 4, "e": "$${env:NOT_MEANT}"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "two").write_text("second\n")
    monkeypatch.setenv("ONE", "first")
    return str(tmp_path)


def test_references_are_filled_in_and_a_doubled_dollar_is_none(folder):
    assert references.fill("<${env:ONE}${file:two}$${env:ONE}>", folder) == "<firstsecond${env:ONE}>"


def test_a_guardian_needs_the_variables_alone(folder):
    assert references.needed(OPTIONS, folder) == {"ONE": "first"}


def test_all_of_them_are_masked(folder):
    assert references.values(OPTIONS, folder) == ("first", "second")
    assert references.mask("first of all, the second", OPTIONS, folder) == "*** of all, the ***"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("${env:NOT_SET_ANYWHERE}", "NOT_SET_ANYWHERE} is not set on this worker"),
        ("${file:not-here}", None),
        ("${file:not_here}", r"not_here} cannot be read on this worker \(No such file"),
        ("${env:SHAKEOUT_BROKER}", "a secret of the worker's own"),
    ],
)
def test_one_that_is_not_there_is_named(folder, text, words):
    if words is None:
        assert references.needed({"a": text}, folder) == {}, "no reference: names have no dash"
        return
    with pytest.raises(FaultError, match=words):
        references.needed({"a": text}, folder)


def test_a_file_that_is_no_secret_by_its_size_is_refused(folder, tmp_path):
    (tmp_path / "big").write_bytes(bytes(references.MOST_BYTES + 1))
    with pytest.raises(FaultError, match="is over 65536 bytes"):
        references.fill("${file:big}", folder)
