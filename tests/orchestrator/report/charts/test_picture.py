from html.parser import HTMLParser

from orchestrator.report.charts.axis import from_zero, seconds
from orchestrator.report.charts.picture import HEIGHT, WIDTH, Band, Bars, Bound, Chart, Line, draw
from orchestrator.report.formats import number


def _drawn(**what):
    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: tags.append((tag, dict(attrs)))
    parts = {
        "title": "T",
        "x": seconds(0, 10),
        "y": from_zero([10.0]),
        "say_x": number,
        "say_y": number,
        **what,
    }
    parser.feed(draw(Chart(**parts)))
    return tags


def _paths(tags, kind):
    return [attrs["d"] for tag, attrs in tags if tag == "path" and attrs.get("class", "").startswith(kind)]


def test_a_line_goes_through_its_points_and_a_none_breaks_it():
    points = ((0.0, 0.0), (5.0, 10.0), (6.0, None), (10.0, 5.0))
    (path,) = _paths(_drawn(lines=(Line("p50", points, 1),)), "line")
    assert path == f"M0 {HEIGHT}L{WIDTH // 2} 0M{WIDTH} {HEIGHT // 2}L{WIDTH} {HEIGHT // 2}"


def test_bars_stand_on_those_before_them():
    spans = ((0.0, 1.0, 4.0),)
    lower, upper = _paths(_drawn(bars=(Bars("a", spans, 1), Bars("b", spans, 2))), "fill")
    assert lower.startswith(f"M0 {HEIGHT}H")
    assert upper.startswith(f"M0 {HEIGHT * 0.6:g}H")


def test_a_band_beyond_the_picture_is_left_out_and_one_across_its_edge_is_cut():
    bands = (Band(20, 30, "gap"), Band(8, 30, "fault", "hang"))
    shown = [attrs for tag, attrs in _drawn(bands=bands) if attrs.get("class", "").startswith("band")]
    assert [one["style"] for one in shown] == ["left:80.00%;width:20.00%"]


def test_steps_of_a_fault_that_follow_each_other_closely_have_one_name_and_those_far_apart_have_theirs():
    def names(*begins):
        bands = tuple(Band(at, at + 0.4, "fault", "late") for at in begins)
        return [tag for tag, _ in _drawn(bands=bands)].count("span")

    assert names(1.0, 1.5, 2.0) == names(1.0)
    assert names(1.0, 1.5, 2.0, 7.0) == names(1.0) + 1


def test_a_bound_beyond_the_picture_is_not_drawn():
    assert len(_paths(_drawn(bounds=(Bound(5.0, "b"), Bound(50.0, "far"))), "bound")) == 1


def test_names_are_escaped_everywhere():
    evil = '"><script>alert(1)</script>'
    bands = (Band(1, 2, "fault", evil),)
    tags = _drawn(title=evil, lines=(Line(evil, ((0.0, 1.0),), 1),), bands=bands, bounds=(Bound(5.0, evil),))
    assert "script" not in [tag for tag, _ in tags]
