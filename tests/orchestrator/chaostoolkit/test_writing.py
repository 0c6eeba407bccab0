"""YAML that reads back as what was written, whatever stands in it."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.campaign.yaml_reader import plain, read
from orchestrator.chaostoolkit.imported import Imported, LeftOut
from orchestrator.chaostoolkit.writing import campaign_text

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(WORDS, VALUES, min_size=1, max_size=4))
def test_whatever_is_written_is_read_back(document):
    text = campaign_text(Imported(document, {}, (), ()), source="e.json")
    assert plain(read(text)) == document


def test_what_is_missing_stands_above_as_comments():
    left = LeftOut(("method", 3), 17, "action 'x'", "there is no equal " * 8)
    text = campaign_text(Imported({"campaign": "c"}, {}, (left,), ("do this",)), source="e.json")
    head, _, rest = text.partition("\n\n")
    assert rest == "campaign: c\n"
    lines = head.splitlines()
    assert lines[0] == "# Made from e.json, an experiment of Chaos Toolkit."
    assert "# - do this" in lines
    assert any(line.startswith("# - line 17, method[3] (action 'x'): there is no equal") for line in lines)
    assert all(line.startswith("#") and len(line) <= 100 for line in lines)
