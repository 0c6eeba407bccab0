"""One campaign on a real Valkey whose leader dies wherever it writes: the totals stay what they were."""

import time
from pathlib import Path

import msgspec
import pytest

from orchestrator.aggregate.totals import Aggregate
from orchestrator.coordinator.campaign_run import CampaignRun
from orchestrator.coordinator.opening import open_run
from orchestrator.results.results import Results
from orchestrator.store import snapshot_streams
from orchestrator.store.entries import NotLeadingError
from orchestrator.store.store import Store
from workers.contract import facts as f
from workers.contract.bounds import BoundCount
from workers.contract.broker import names, scripts
from workers.contract.sketch import sketch_of, to_wire
from workers.contract.snapshot import Cell, Snapshot, encode

ID = "c-1"
WITHIN_S = 20.0
CARD = f.WorkerCard("a", "one", "host-a", "", 4, seen_s=1e12)


class DiedError(Exception):
    """The leader's process ended here."""


class Stage:
    """A campaign in Redis, the snapshots of its two shards, and leaders that come and go."""

    def __init__(self, url: str, text: str, runs: Path) -> None:
        self.url, self.runs = url, Results(str(runs))
        self.store = self._leader()
        self.seqs = {0: 0, 1: 0}
        self.ended: set[int] = set()
        self.store.say(ID, id_="submitted", fact=f.Submitted(campaign=ID, text=text, seed=1, at_s=1.0))
        self.store.client.zadd(names.CAMPAIGNS, {ID: 1.0})

    def _leader(self) -> Store:
        store = Store(self.url)
        store.client.delete(names.LEADER)  # the one before is dead, or as good as
        assert store.lead()
        return store

    def open(self):
        return open_run(ID, store=self.store, results=self.runs, send=lambda *_: None)

    def next_leader(self):
        """Another coordinator stands where the last one stood."""
        self.store = self._leader()
        return self.open()

    def step(self, run, *, after_s: float = 0.0, led_for_s: float = 0.0) -> None:
        now_s = run.store.now_s() + after_s
        run.step(fleet=(CARD,), leading_since_s=now_s - led_for_s, now_s=now_s)

    def end(self, run) -> None:
        """Step until its results stand."""
        until_s = time.monotonic() + WITHIN_S
        while not run.finished:
            assert time.monotonic() < until_s
            self.step(run)
            time.sleep(0.01)

    def say(self, fact: f.Fact, id_: str) -> None:
        self.store.say(ID, id_=id_, fact=fact)

    def begin(self, run) -> None:
        """Both shards run."""
        self.step(run)
        for shard in (0, 1):
            attempt = f"steady:{shard}:1"
            self.say(f.Ready(attempt=attempt, fingerprint="x", numpy="2"), f"{attempt}:ready")
        self.step(run)
        assert run.state.phases["only"].start_s is not None

    def report(self, shard: int, *, ok: int = 3) -> None:
        """One more snapshot of a shard, with so many good answers."""
        self.seqs[shard] += 1
        seq = self.seqs[shard]
        cell = Cell(seq, "", {"ok": ok}, {}, {})
        attempt = f"steady:{shard}:1"
        snapshot = Snapshot(
            "steady", shard, attempt, seq, 0.0, dispatched=seq * ok, sent=ok, in_flight=[], cells=[cell]
        )
        stream = names.snapshots(ID, "steady", shard)
        self.store.client.xadd(stream, {"s": encode(snapshot)}, id=f"1-{seq}")

    def exit(self, shard: int) -> None:
        attempt = f"steady:{shard}:1"
        fact = f.Exited(attempt=attempt, outcome="done", last_seq=self.seqs[shard], silent_s=2.0, at_s=2.0)
        self.say(fact, f"{attempt}:exited")

    def waiting(self, shard: int) -> int:
        """Snapshots that a stream still holds."""
        return int(self.store.client.xlen(names.snapshots(ID, "steady", shard)))


def ok(run) -> int:
    return run.aggregate.of("steady").outcomes()["ok"]


def holes(run) -> int:
    return sum(seen.holes for seen in run.aggregate.of("steady").attempts.values())


@pytest.fixture
def stage(shared_valkey, redis_client, text_of, load_activity, tmp_path) -> Stage:
    return Stage(shared_valkey.url, text_of(("only", load_activity)), tmp_path)


def dies(*_, **__) -> None:
    raise DiedError


def test_a_leader_that_dies_between_part_and_checkpoint_leaves_nothing_out_and_nothing_twice(
    stage, monkeypatch
) -> None:
    run = stage.open()
    stage.begin(run)
    stage.report(0)
    stage.report(1)
    monkeypatch.setattr(run.store, "checkpoint", dies)
    with pytest.raises(DiedError):
        stage.step(run, after_s=6)
    assert list((Path(stage.runs.place(ID)) / "parts").iterdir()), "the part stands"
    assert stage.waiting(0) == 1
    run = stage.next_leader()
    stage.step(run)
    assert (ok(run), holes(run)) == (6, 0)


def test_a_leader_that_dies_between_checkpoint_and_trim_counts_nothing_twice(stage, monkeypatch) -> None:
    run = stage.open()
    stage.begin(run)
    stage.report(0)
    whole = run.store.checkpoint

    def untrimmed(*args, **keys) -> None:
        whole(*args, **{**keys, "trim": ()})
        raise DiedError

    monkeypatch.setattr(run.store, "checkpoint", untrimmed)
    with pytest.raises(DiedError):
        stage.step(run, after_s=6)
    stage.report(0)
    run = stage.next_leader()
    assert stage.waiting(0) == 2
    stage.step(run)
    assert (ok(run), holes(run)) == (6, 0)
    stage.step(run, after_s=6)
    assert stage.waiting(0) == 0


def test_a_snapshot_that_comes_again_is_dropped_by_redis_or_by_its_number(stage) -> None:
    run = stage.open()
    stage.begin(run)
    stage.report(0)
    stage.step(run, after_s=6)
    assert stage.waiting(0) == 0
    stage.seqs[0] = 0
    with pytest.raises(Exception, match="equal or smaller"):
        stage.report(0)
    run.intake.read["steady", 0, 1] = "0-0"
    body = encode(Snapshot("steady", 0, "steady:0:1", 1, 0.0, 3, 3, [], [Cell(1, "", {"ok": 3}, {}, {})]))
    stage.store.client.xadd(names.snapshots(ID, "steady", 0), {"s": body}, id="1-5")
    stage.step(run)
    assert ok(run) == 3


def test_a_leader_that_lost_the_lead_writes_nothing_more(stage) -> None:
    stalled = stage.open()
    stage.begin(stalled)
    stage.report(0)
    run = stage.next_leader()
    stage.step(run, after_s=6)
    parts = stage.store.parts(ID)
    journal = stage.store.journal(ID)
    stage.report(0)
    stage.exit(0)
    stage.exit(1)
    with pytest.raises(NotLeadingError):
        stage.step(stalled, after_s=60)
    assert stage.store.parts(ID) == parts
    assert [one for one in stage.store.journal(ID) if not isinstance(one.fact, f.Exited)] == journal
    assert stage.store.client.zscore(names.CAMPAIGNS, ID) is not None
    with pytest.raises(NotLeadingError):
        stalled.store.finish(ID, at_s=1.0, results={})
    stage.step(run)
    assert (ok(run), run.state.ended is not None) == (6, True)


@pytest.mark.parametrize("where", ["finish", "drop_parts"])
def test_a_leader_that_dies_while_it_ends_a_campaign_is_followed_by_one_that_ends_it_the_same(
    stage, monkeypatch, where: str
) -> None:
    run = stage.open()
    stage.begin(run)
    for shard in (0, 1):
        stage.report(shard)
        stage.exit(shard)
    with monkeypatch.context() as patch:
        patch.setattr(Store if where == "finish" else Results, where, dies)
        with pytest.raises(DiedError):
            stage.end(run)
    report = Path(stage.runs.place(ID)) / "report.json"
    first = msgspec.json.decode(report.read_bytes())
    live = stage.store.client.zscore(names.CAMPAIGNS, ID)
    assert (live is None) == (where == "drop_parts")
    if live is not None:
        run = stage.next_leader()
        stage.end(run)
        assert msgspec.json.decode(report.read_bytes()) == first
    assert stage.store.client.zscore(names.FINISHED, ID) is not None


def test_a_phase_is_judged_again_as_it_was_whatever_comes_after(stage, monkeypatch) -> None:
    run = stage.open()
    stage.begin(run)
    for shard in (0, 1):
        stage.report(shard)
        stage.exit(shard)
    with monkeypatch.context() as patch:
        patch.setattr(CampaignRun, "_finish", dies)
        with pytest.raises(DiedError):
            stage.step(run)
    assert run.state.ended is not None
    stage.report(0, ok=100)
    run = stage.next_leader()
    run._read_snapshots()
    assert ok(run) == 6


def test_what_workers_say_to_an_emptied_server_before_the_journal_is_back_stops_no_successor(stage) -> None:
    entries = stage.store.journal(ID)
    stage.store.client.delete(names.journal(ID), names.fact_ids(ID))
    stage.say(f.Ready(attempt="steady:0:1", fingerprint="x", numpy="2"), "steady:0:1:ready:1")
    end = stage.store.journal_end(ID)
    stage.store.restore(ID, last_id=end, entries=[("submitted", entry) for entry in entries])
    run = stage.next_leader()
    assert isinstance(run.entries[0].fact, f.Submitted)
    stage.begin(run)


def test_parts_that_cannot_be_written_wait_and_their_snapshots_with_them(stage, monkeypatch) -> None:
    run = stage.open()
    stage.begin(run)
    stage.report(0)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Results, "put_part", full)
        stage.step(run, after_s=6)
        stage.report(0)
        stage.step(run, after_s=12)
        assert stage.store.parts(ID) == ()
    assert stage.waiting(0) == 2
    stage.step(run, after_s=18)
    assert len(stage.store.parts(ID)) == 1
    assert (ok(run), ok(stage.next_leader()), stage.waiting(0)) == (6, 6, 0)


def test_a_lease_that_is_renewed_at_the_last_moment_is_not_lost(stage, monkeypatch) -> None:
    run = stage.open()
    stage.begin(run)
    leases = names.leases(ID)
    late_ms = round((stage.store.now_s() - 60) * 1000)
    stage.store.client.hset(leases, mapping={"steady:0:1": late_ms, "steady:1:1": late_ms})
    seen = run.store.leases

    def renewed_after(*asked: object) -> dict[str, float]:
        found = seen(*asked)
        stage.store.client.hset(leases, "steady:0:1", round(stage.store.now_s() * 1000))
        return found

    monkeypatch.setattr(run.store, "leases", renewed_after)
    now_s = stage.store.now_s()
    run.step(fleet=(CARD,), leading_since_s=now_s - 10, now_s=now_s)
    assert [one.attempt for one in (e.fact for e in run.entries) if isinstance(one, f.Lost)] == ["steady:1:1"]
    assert stage.store.client.hexists(leases, "steady:0:1")


def test_a_task_that_is_lost_on_its_way_is_placed_again_and_worth_nothing_when_it_turns_up(stage) -> None:
    run = stage.open()
    stage.step(run)
    placed_s = stage.store.now_s()
    late_s = placed_s + names.CLAIM_WITHIN_S + 1
    run.step(fleet=(CARD,), leading_since_s=placed_s - 10, now_s=late_s)
    lost = [entry.fact for entry in run.entries if isinstance(entry.fact, f.Lost)]
    assert [one.why for one in lost] == ["worker a did not claim it in time"] * 2
    assert run.state.last_attempt("steady", 0).number == 2
    keys = [names.claims(ID), names.leases(ID)]
    claim = stage.store.client.eval
    assert claim(scripts.CLAIM, 2, *keys, "steady:0:1", "one", 0) == 0
    assert claim(scripts.CLAIM, 2, *keys, "steady:0:2", "one", 0) == 1


def test_snapshots_of_many_shards_taken_at_once_add_up_as_one_by_one(stage) -> None:
    run = stage.open()
    stage.begin(run)
    one_by_one = Aggregate()
    for seq in range(1, 6):
        for shard in (0, 1):
            sketches = {"latency": to_wire(sketch_of([0.25 * seq, 0.5 * (shard + 1)]))}
            cells = [
                Cell(
                    second,
                    group,
                    {"ok": seq, "timeout": shard},
                    {"b": BoundCount(seq, 1, 0)},
                    sketches,
                    1,
                    2,
                    3,
                )
                for second in (seq, seq + 1)
                for group in ("", "warmup")
            ]
            snapshot = Snapshot(
                "steady", shard, f"steady:{shard}:1", seq, 0.0, seq, 1, [seq], cells, {seq: 2}, {seq: 1},
                hub_delay=sketches["latency"], warnings=[f"{seq}"],
            )  # fmt: skip
            one_by_one.absorb(snapshot)
            stream = names.snapshots(ID, "steady", shard)
            stage.store.client.xadd(stream, {"s": encode(snapshot)}, id=f"1-{seq}")
    stage.step(run)
    taken, whole = run.aggregate.of("steady"), one_by_one.of("steady")
    for key, row in whole.seconds.items():
        assert taken.seconds[key].cell(second=0, group="") == row.cell(second=0, group="")
    assert (taken.running, taken.completions, taken.by_group) == (
        whole.running,
        whole.completions,
        whole.by_group,
    )
    assert to_wire(taken.hub_delay) == to_wire(whole.hub_delay)
    assert sorted(taken.warnings) == sorted(whole.warnings)
    assert run.aggregate.seqs() == one_by_one.seqs()


def test_whatever_the_streams_hold_is_counted_before_a_phase_is_judged(stage, monkeypatch) -> None:
    run = stage.open()
    stage.begin(run)
    monkeypatch.setattr(snapshot_streams, "MOST_OF_A_STREAM", 2)
    for shard in (0, 1):
        for _ in range(9 if shard else 1):
            stage.report(shard)
        stage.exit(shard)
    long_ago_s = stage.store.now_s() - 60
    told = stage.store.journal(ID)
    assert all(entry.fact.at_s < long_ago_s for entry in told if isinstance(entry.fact, f.Exited))
    stage.step(run, led_for_s=60.0)
    assert run.state.phases["only"].over
    assert ok(run) == 30
