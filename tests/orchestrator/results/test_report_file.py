"""A report.json read again: told apart from whatever else a file may hold."""

import json
from pathlib import Path

import pytest

from orchestrator.errors import UsageError
from orchestrator.results.report_file import read_report, report_file

GOLDEN = Path(__file__).parents[1] / "report" / "golden" / "failed.json"


@pytest.fixture
def changed(tmp_path):
    """The golden report with some of it replaced, as a file."""

    def write(**given):
        file = tmp_path / "report.json"
        file.write_text(json.dumps(json.loads(GOLDEN.read_text()) | given))
        return file

    return write


def test_the_golden_report_is_read_with_what_it_says():
    whole = json.loads(GOLDEN.read_text())
    found = read_report(GOLDEN)
    assert (found.verdict, found.exit_code, found.campaign.id) == (
        whole["verdict"], whole["exit_code"], whole["campaign"]["id"],
    )  # fmt: skip
    assert [one.slo for one in found.slos] == [one["slo"] for one in whole["slos"]]


def test_what_a_later_version_adds_is_no_error(changed):
    assert read_report(changed(weather="fine")).verdict == read_report(GOLDEN).verdict


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"schema": 2}, "has schema 2; this version of Shakeout reads schema 1"),
        ({"verdict": "great"}, r"is broken: Invalid enum value 'great' - at `\$\.verdict`"),
        ({"campaign": {}}, r"missing required field `id` - at `\$\.campaign`"),
        ({"slos": 3}, r"at `\$\.slos`"),
        ({"exit_code": 2}, "exit_code"),
    ],
)
def test_a_foreign_or_broken_report_says_what_is_wrong_and_where(changed, given, words):
    with pytest.raises(UsageError, match=words):
        read_report(changed(**given))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b'{"schema": "1"}', b"{}", b"<html>"])
def test_what_is_no_report_at_all_is_called_so(tmp_path, body):
    (tmp_path / "report.json").write_bytes(body)
    with pytest.raises(UsageError, match="is no report of Shakeout"):
        read_report(tmp_path / "report.json")


def test_a_folder_stands_for_its_report_json(tmp_path):
    with pytest.raises(UsageError, match=r"no report\.json"):
        report_file(tmp_path)
    with pytest.raises(UsageError, match="no such file or folder"):
        report_file(tmp_path / "nowhere")
    (tmp_path / "report.json").touch()
    assert report_file(tmp_path) == report_file(tmp_path / "report.json") == tmp_path / "report.json"
