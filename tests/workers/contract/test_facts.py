import typing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.contract import facts as f
from workers.contract.files.traces import Trace

KINDS = typing.get_args(f.Fact)
numbers = st.floats(-1e9, 2e9, allow_nan=False)
words = st.text(max_size=12)
TRACE = {
    "sha256": words, "size_bytes": st.integers(0, 99), "name": words, "count": st.integers(0, 99),
    "duration_s": numbers, "peak_per_s": numbers, "mean_per_s": numbers, "unit_ns": st.integers(0, 99),
    "speed": numbers,
}  # fmt: skip
VALUES = {
    str: words,
    float: numbers,
    int: st.integers(0, 2**53),
    bool: st.booleans(),
    tuple[str, ...]: st.lists(words, max_size=3).map(tuple),
    tuple[int, ...]: st.lists(st.integers(0, 99), max_size=3).map(tuple),
    tuple[float | None, ...]: st.lists(st.none() | numbers, max_size=3).map(tuple),
    bool | None: st.none() | st.booleans(),
    dict[str, tuple[str, int]]: st.dictionaries(words, st.tuples(words, st.integers(0, 99)), max_size=2),
    dict[str, str]: st.dictionaries(words, words, max_size=2),
    dict[str, int]: st.dictionaries(words, st.integers(0, 99), max_size=2),
    dict[str, Trace]: st.dictionaries(words, st.builds(Trace, **TRACE), max_size=2),
}
OUTCOMES = st.sampled_from(["done", "stopped", "died", "error", "refused"])


@st.composite
def facts(draw, kind):
    """A fact of one kind with whatever its fields may hold."""
    hints = typing.get_type_hints(kind)
    given_ = {
        name: draw(OUTCOMES if name == "outcome" else VALUES[hints[name]]) for name in kind.__struct_fields__
    }
    return kind(**given_)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_fact_is_read_as_it_was_written(kind):
    @given(facts(kind))
    def check(fact):
        assert f.decode_fact(f.encode_fact(fact)) == fact

    check()


def test_every_kind_of_fact_has_a_tag_of_its_own():
    tags = [kind.__struct_config__.tag for kind in KINDS]
    assert len(set(tags)) == len(KINDS)


def test_a_fact_says_its_kind_and_when():
    said = msgspec.json.decode(f.encode_fact(f.PhaseOpened(phase="peak", at_s=12.5)))
    assert said == {"fact": "phase-opened", "phase": "peak", "at_s": 12.5, "signature": ""}


def test_a_fact_of_a_newer_version_with_a_field_more_can_still_be_read():
    body = b'{"fact":"ready","attempt":"a:0:1","weather":"fine"}'
    assert f.decode_fact(body) == f.Ready(attempt="a:0:1")


def test_what_is_no_fact_is_refused():
    for body in (b'{"fact":"weather"}', b"{}", b'{"fact":"ready"}'):
        with pytest.raises(msgspec.ValidationError):
            f.decode_fact(body)


def test_a_card_survives_the_wire():
    card = f.WorkerCard("w", "one", "h", "1.0", 4, labels=("a", "b"), gpus=(f.Gpu("H200"),), offset_s=0.1)
    assert msgspec.json.decode(msgspec.json.encode(card), type=f.WorkerCard) == card
