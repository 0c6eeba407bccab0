from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.aggregate.parts import encode_part, restore
from orchestrator.aggregate.totals import Aggregate
from workers.contract.bounds import BoundCount
from workers.contract.sketch import sketch_of, to_wire
from workers.contract.snapshot import CaseResult, Cell, ErrorExample, Snapshot

# sums of eighths are exact, so that adding them in another grouping gives the same number
eighths = st.lists(st.integers(1, 80).map(lambda number: number / 8), max_size=4)


@st.composite
def snapshots(draw):
    """What several attempts at two activities sent, holes included."""
    sent, seqs = [], {}
    for _ in range(draw(st.integers(0, 12))):
        activity, shard = draw(st.sampled_from(["load", "soak"])), draw(st.integers(0, 1))
        attempt = f"{activity}:{shard}:1"
        seqs[attempt] = seqs.get(attempt, 0) + draw(st.integers(1, 3))
        values = draw(eighths)
        cell = Cell(
            draw(st.integers(0, 3)),
            draw(st.sampled_from(["", "warmup", "size=big"])),
            {"ok": len(values), "reset": draw(st.integers(1, 3))},
            {"latency<1": BoundCount(3, draw(st.integers(0, 3)), 0)},
            {"latency": to_wire(sketch_of(values))} if values else {},
            output_tokens=draw(st.integers(0, 9)),
        )
        row = draw(st.integers(0, 5))
        sent.append(
            Snapshot(
                activity, shard, attempt, seqs[attempt], 0.0,
                dispatched=draw(st.integers(0, 99)), sent=draw(st.integers(0, 99)),
                in_flight=draw(st.lists(st.integers(0, 9), max_size=2)), cells=[cell],
                running={1: draw(st.integers(0, 3))}, completions={2: 1},
                hub_delay=to_wire(sketch_of(draw(eighths))),
                busy_share=draw(st.integers(0, 8)) / 8,
                start_lag_s=draw(st.none() | st.just(0.25)),
                cases=[CaseResult(row, f"id-{row}", "ok", draw(st.booleans()), "", 0.5)],
                examples=[ErrorExample("reset", "gone", str(seqs[attempt]), 0.0)],
                warnings=draw(st.lists(st.sampled_from("abc"), max_size=2)),
            )
        )  # fmt: skip
    return sent


def plain(aggregate):
    """An aggregate as plain values, its sketches as they travel."""

    def told(value):
        if isinstance(value, dict):
            return {key: told(one) for key, one in value.items()}
        return to_wire(value) if hasattr(value, "quantile") else value

    found = {}
    for key, totals in aggregate.activities.items():
        rows = {
            place: {name: told(getattr(row, name)) for name in row.__slots__}
            for place, row in sorted(totals.seconds.items())
        }
        rest = {
            name: told(getattr(totals, name))
            for name in totals.__slots__
            if name not in ("seconds", "attempts")
        }
        found[key] = (rows, {name: asdict(seen) for name, seen in totals.attempts.items()}, rest)
    return found


@given(snapshots(), st.lists(st.integers(0, 12), max_size=4))
def test_the_parts_in_order_add_up_to_the_whole(sent, cuts):
    whole, interval, parts = Aggregate(), Aggregate(), []
    for place, snapshot in enumerate(sent):
        if place in cuts:
            parts.append(encode_part(interval))
            interval = Aggregate()
        assert whole.absorb(snapshot)
        interval.absorb(snapshot)
    parts.append(encode_part(interval))
    assert plain(restore(parts)) == plain(whole)


def test_numbers_of_an_earlier_interval_are_no_holes_of_a_later_one(snapshot):
    parts = []
    for seqs in ([1, 2], [3], [6]):
        interval = Aggregate()
        for seq in seqs:
            interval.absorb(snapshot(seq))
        parts.append(encode_part(interval))
    assert restore(parts[:2]).of("load").attempts["load:0:1"].holes == 0
    assert restore(parts).of("load").attempts["load:0:1"].holes == 2


def test_what_was_known_at_the_start_is_not_forgotten_in_a_later_part(snapshot):
    parts = []
    for seq, lag_s, busy in ((1, 0.04, 0.9), (2, None, 0.1)):
        interval = Aggregate()
        interval.absorb(snapshot(seq, start_lag_s=lag_s, busy_share=busy))
        parts.append(encode_part(interval))
    seen = restore(parts).of("load").attempts["load:0:1"]
    assert (seen.start_lag_s, seen.busy_share) == (0.04, 0.9)


def test_no_parts_are_an_empty_aggregate():
    assert restore([]) == Aggregate()
