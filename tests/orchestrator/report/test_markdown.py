import json
from pathlib import Path

import pytest

from orchestrator.report.build import build_report
from orchestrator.report.markdown import render_markdown

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", ["passed", "failed"])
def test_a_stored_report_gives_its_golden_file(name):
    report = json.loads((GOLDEN / f"{name}.json").read_text())
    assert render_markdown(report) == (GOLDEN / f"{name}.md").read_text()


def test_a_campaign_that_a_person_stopped_is_not_called_the_fault_of_the_test(report):
    page = render_markdown({**report, "verdict": "invalid", "exit_code": 5})
    assert "A person stopped the campaign." in page
    assert "at fault" not in page


def test_text_of_a_target_stays_text_and_on_its_line(report):
    evil = {**report, "reasons": ["<img src=x onerror=alert(1)>\n# [click](http://x) @everyone | `x`"]}
    (line,) = [one for one in render_markdown(evil).splitlines() if "img" in one]
    assert line == ("- \\<img src=x onerror=alert(1)\\> \\# \\[click\\](http://x) \\@everyone \\| \\`x\\`")


def test_every_table_row_has_as_many_cells_as_its_head(failed):
    widths = []
    for line in render_markdown(build_report(failed)).splitlines():
        cells = line.replace("\\|", "").count("|")
        if not cells:
            widths.clear()
            continue
        widths.append(cells)
        assert cells == widths[0]
