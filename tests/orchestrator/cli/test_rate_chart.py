from orchestrator.cli.rate_chart import ROWS, chart


def test_a_rising_rate_rises_to_the_top():
    lines = chart([0.0, 10.0, 20.0, 30.0, 40.0], length_s=5.0).splitlines()
    assert lines[0] == "  40/s ┤    █"
    assert lines[ROWS - 1] == "       ┤ ████"
    assert lines[ROWS] == "     0 └─────"


def test_a_steady_rate_takes_one_row():
    assert chart([5.0] * 10, length_s=10.0).splitlines()[0] == "  5/s ┤██████████"


def test_faults_are_marked_in_the_columns_that_they_touch():
    last = chart([5.0] * 10, length_s=10.0, faults=[(2.0, 4.5), (9.9, 9.9)]).splitlines()[-1]
    assert last.endswith("  ×××    ×")


def test_the_top_has_no_more_digits_than_matter():
    assert chart([117.0279, 1.0], length_s=2.0).startswith("  117/s ┤")


def test_a_phase_that_offers_nothing_has_an_empty_chart():
    assert "█" not in chart([0.0, 0.0], length_s=2.0)
