"""Tables: nothing is ever cut off, whatever the width; a pipe gets aligned lines without colours or boxes."""

import io

import pytest
from rich.console import Console

from orchestrator.cli.tables import console, moment, show_table, span

HEADER = ("campaign", "state", "labels", "")
ROWS = [
    ("chat-launch-20260101-120000-abcd", "pass", "", "all of it went well, and this is a long remark"),
    ("x", "running", "", "[b]no markup[/b]"),
]


def shown(width, *, terminal):
    to = Console(
        file=io.StringIO(), width=width, force_terminal=terminal, color_system=None, markup=False,
        emoji=False, highlight=False, soft_wrap=not terminal,
    )  # fmt: skip
    show_table(to, HEADER, ROWS, colours=["green", "red"])
    return to.file.getvalue()


def test_on_a_pipe_each_row_is_one_aligned_line_however_long():
    lines = shown(20, terminal=False).splitlines()
    assert len(lines) == 3
    assert lines[0].split() == ["campaign", "state"]
    assert {line.index(word) for line, word in zip(lines, ("state", "pass", "running"), strict=True)} == {34}
    assert lines[1].endswith("a long remark")
    assert not set("─│┃\x1b") & set("".join(lines))


@pytest.mark.parametrize("width", [12, 30, 50, 80, 200])
def test_on_a_terminal_of_any_width_no_character_is_lost(width):
    seen = shown(width, terminal=True)
    assert max(map(len, seen.splitlines())) <= width
    packed = "".join(seen.split())
    for row in ROWS:
        assert row[0] in packed
        assert all(word in packed for cell in row for word in cell.split() if len(word) <= width - 2)


def test_a_column_with_nothing_in_it_is_left_out_and_no_rows_print_nothing():
    assert "labels" not in shown(200, terminal=True)
    to = Console(file=io.StringIO())
    show_table(to, HEADER, [])
    assert to.file.getvalue() == ""


def test_what_a_person_wrote_is_no_markup():
    assert "[b]no markup[/b]" in shown(200, terminal=True)
    assert console().render_str("[b]x[/b]").plain == "[b]x[/b]"


@pytest.mark.parametrize(
    ("length_s", "words"),
    [(0.2, "0 s"), (34.4, "34 s"), (110.6, "111 s"), (123, "2 min"), (12_800, "3.56 h"), (345_600, "4 d")],
)
def test_a_span_has_no_digits_that_nobody_needs(length_s, words):
    assert span(length_s) == words


def test_a_moment_is_in_utc_as_in_ids_and_reports():
    assert moment(1_767_268_800.9) == "2026-01-01 12:00:00"
    assert (moment(None), moment(0.0)) == ("", "")


@pytest.mark.parametrize("common_s", [1e300, -1e300, 1e12])
def test_a_moment_that_no_calendar_has_is_told_as_it_is_said(common_s):
    assert moment(common_s).endswith(" s since 1970")
