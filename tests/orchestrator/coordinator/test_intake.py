"""What is taken in of a shard's stream, to which anybody may have written."""

import pytest

from orchestrator.coordinator.admission import RefusedError
from orchestrator.coordinator.intake import Intake
from orchestrator.results.results import Results
from orchestrator.store.store import Store
from workers.contract.broker import names
from workers.contract.signed.signing import NO_KEYS, read_keys
from workers.contract.signed.trust import seal_snapshot
from workers.contract.snapshot import Snapshot, encode

OPS, EVE = read_keys("ops=a-secret-of-coordinators"), read_keys("eve=a-secret-of-nobody-here")
STREAM = ("peak", 0, 1)
PLACE = names.snapshots("c-1", *STREAM)


@pytest.fixture
def store(shared_valkey, redis_client):
    found = Store(shared_valkey.url)
    yield found
    found.client.close()


def snapshot(seq: int) -> bytes:
    return encode(Snapshot("peak", 0, "peak:0:1", seq, 0.0, seq, 0, [], []))


def sealed(seq: int, *, keys=OPS, at: int | None = None) -> bytes:
    id_ = f"1-{seq if at is None else at}"
    return seal_snapshot(snapshot(seq), stream=PLACE, id_=id_, keys=keys)


def taken(store, tmp_path, bodies: dict[int, dict], *, keys) -> tuple[int, list[str]]:
    """Number of the last snapshot without a hole before it, and what is warned of."""
    for seq, fields in bodies.items():
        store.client.xadd(PLACE, fields, id=f"1-{seq}")
    intake = Intake("c-1", store, Results(str(tmp_path)), keys)
    intake.expect(STREAM)
    intake.take([STREAM])
    return intake.aggregate.seqs().get("peak:0:1", 0), list(intake.aggregate.of("peak").warnings)


def test_what_the_workers_sealed_is_taken_in_at_its_place(store, tmp_path):
    bodies = {seq: {"s": sealed(seq)} for seq in (1, 2, 3)}
    assert taken(store, tmp_path, bodies, keys=OPS) == (3, [])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"s": snapshot(2)}, "not signed"),
        ({"s": sealed(2, keys=EVE)}, "foreign key"),
        ({"s": sealed(1)}, "altered"),
        ({"s": sealed(2, at=3)}, "altered"),
        ({"s": b"S"}, "not signed"),
        ({"t": b""}, "not signed"),
    ],
)
def test_what_nobody_sealed_is_a_hole_and_said_to_be_one(store, tmp_path, fields, words):
    seq, warned = taken(store, tmp_path, {1: {"s": sealed(1)}, 2: fields}, keys=OPS)
    assert seq == 1
    assert any("counts as a hole" in one and words in one for one in warned)


def test_without_keys_anybodys_snapshot_is_taken(store, tmp_path):
    bodies = {1: {"s": snapshot(1)}, 2: {"s": b"broken"}}
    seq, warned = taken(store, tmp_path, bodies, keys=NO_KEYS)
    assert (seq, len(warned)) == (1, 1)


def test_parts_whose_names_the_checkpoint_has_lost_are_named_again_in_their_order(store, tmp_path):
    results = Results(str(tmp_path))
    assert store.lead()
    intake = Intake("c-1", store, results)
    intake.expect(STREAM)
    for seq in (1, 2, 3):
        store.client.xadd(PLACE, {"s": snapshot(seq)}, id=f"1-{seq}")
        intake.take([STREAM])
        assert intake.keep()
    names_before = store.parts("c-1")
    for key in (names.checkpoint("c-1"), names.durable("c-1")):
        store.client.delete(key)
    store.checkpoint("c-1", totals=b"", part=names_before[0], seqs={"peak:0:1": 1}, trim=())
    intake.name_again()
    intake.name_again()
    assert store.parts("c-1") == names_before
    assert store.client.hget(names.durable("c-1"), "peak:0:1") == b"3"
    successor = Intake("c-1", store, results)
    successor.restore([])
    assert successor.aggregate.seqs() == {"peak:0:1": 3}


def kept_in_parts(store, tmp_path, *, campaign: str = "c-1", keys=OPS) -> list[str]:
    """Three parts of what was measured, as the checkpoint names them."""
    assert store.lead()
    intake = Intake(campaign, store, Results(str(tmp_path)), keys)
    intake.expect(STREAM)
    place = names.snapshots(campaign, *STREAM)
    for seq in (1, 2, 3):
        body = seal_snapshot(snapshot(seq), stream=place, id_=f"1-{seq}", keys=keys)
        store.client.xadd(place, {"s": body}, id=f"1-{seq}")
        intake.take([STREAM])
        assert intake.keep()
    return list(store.parts(campaign))


def test_parts_that_leaders_named_are_added_up_again(store, tmp_path):
    kept_in_parts(store, tmp_path)
    successor = Intake("c-1", store, Results(str(tmp_path)), OPS)
    successor.restore([])
    assert successor.aggregate.seqs() == {"peak:0:1": 3}


@pytest.mark.parametrize(
    "forged",
    [
        lambda own, _: [own[0], own[0], own[2]],
        lambda own, _: [own[0], own[2]],
        lambda own, _: [own[1], own[0], own[2]],
        lambda own, other: [other[0], *own[1:]],
        lambda own, _: [own[0].partition(" ")[0]],
        lambda own, _: [*own, "../../c-2/parts/000004"],
        lambda own, _: [f"../parts/{own[0]}"],
    ],
    ids=["twice", "left out", "exchanged", "of another campaign", "without its seal", "elsewhere", "moved"],
)
def test_a_checkpoint_that_names_other_parts_than_leaders_did_is_not_gone_on_from(store, tmp_path, forged):
    other = kept_in_parts(store, tmp_path, campaign="c-2")
    own = kept_in_parts(store, tmp_path)
    key = names.checkpoint("c-1")
    store.client.delete(key)
    for place, name in enumerate(forged(own, other), start=1):
        # a field has one place: the second of a name stands in for the first
        store.client.hset(key, f"part:{name}", place)
    with pytest.raises(RefusedError, match="the checkpoint was altered"):
        Intake("c-1", store, Results(str(tmp_path)), OPS).restore([])
