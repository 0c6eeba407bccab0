from collections import Counter
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.aggregate.accounting import account_open, account_sessions
from orchestrator.aggregate.totals import ActivityTotals
from orchestrator.facts import Attempt
from workers.contract import facts as f
from workers.contract.schedule import ClosedArrivals, OpenArrivals, Segment, shard_blocks
from workers.contract.snapshot import (
    JUDGED,
    UNSENT_GENERATOR,
    UNSENT_TARGET,
    WARMUP,
    Cell,
    SessionCounts,
    Snapshot,
)

START_S = 1000.0
LENGTH_S = 8.0


def schedule(process="poisson", rate=6.0, length_s=LENGTH_S, seed=1):
    return OpenArrivals(process, (Segment(0.0, length_s, rate, rate),), seed, "load")


def own(arrivals, shard, of):
    """(index, seconds) of a shard's arrivals."""
    return [
        (int(index), int(at_ns) / 1e9)
        for block in shard_blocks(arrivals, shard=shard, of=of)
        for index, at_ns in zip(block.indices, block.times_ns, strict=True)
    ]


def attempt(number, from_s, *, shard=0, of=1, exited=None, lost=None):
    name = f"load:{shard}:{number}"
    return Attempt(
        name, "p", "load", shard, of, number, "w", "one", "h", START_S,
        status="over", from_s=from_s, exited=exited and exited(name), lost=lost and lost(name),
    )  # fmt: skip


def done(dispatched=10**6):
    return lambda name: f.Exited(attempt=name, outcome="done", dispatched=dispatched)


def died(dispatched):
    return lambda name: f.Exited(attempt=name, outcome="died", dispatched=dispatched, why="signal 9")


def lost(fence_s):
    return lambda name: f.Lost(attempt=name, fence_s=START_S + fence_s, why="no sign")


def cells_of(sends, warmup_s, outcome="ok"):
    counts = Counter((int(at_s), WARMUP if at_s < warmup_s else JUDGED) for _, at_s in sends)
    return [Cell(second, group, {outcome: count}, {}, {}) for (second, group), count in counts.items()]


def report(totals, name, seq, sends, *, dispatched, in_flight=(), warmup_s=0.0, outcome="ok"):
    cells = cells_of(sends, warmup_s, outcome)
    shard = int(name.split(":")[1])
    totals.absorb(Snapshot("load", shard, name, seq, 0.0, dispatched, 0, list(in_flight), cells))


def account(shards, totals, *, arrivals=None, warmup_s=0.0, **given_):
    return account_open(
        arrivals or schedule(), warmup_s=warmup_s, start_s=START_S, shards=shards, totals=totals, **given_
    )


def balance(found, totals):
    """scheduled = seen + unsent + unknown in every second and group."""
    for key in {*found.scheduled, *totals.seconds}:
        row = totals.seconds.get(key)
        seen = 0 if row is None else sum(row.outcomes.values()) - row.outcomes[UNSENT_GENERATOR]
        assert found.scheduled[key] == seen + found.unsent[key] + found.unknown[key], key


def test_when_all_was_seen_nothing_is_unknown_or_unsent():
    totals = ActivityTotals()
    sends = own(schedule(), 0, 1)
    report(totals, "load:0:1", 1, sends, dispatched=10**6)
    found = account([[attempt(1, 0.0, exited=done())]], totals)
    assert sum(found.scheduled.values()) == len(sends)
    assert found.unknown.total() == found.unsent.total() == found.twice == 0
    assert found.gaps == []


def test_a_lost_attempt_leaves_unknown_up_to_its_fence_and_unsent_from_there():
    totals = ActivityTotals()
    sends = own(schedule(), 0, 1)
    seen = [one for one in sends if one[1] < 2]
    after = [one for one in sends if one[1] >= 6]
    report(
        totals, "load:0:1", 1, seen[:-2], dispatched=seen[-1][0] + 1, in_flight=[one[0] for one in seen[-2:]]
    )
    report(totals, "load:0:2", 1, after, dispatched=10**6)
    shards = [[attempt(1, 0.0, lost=lost(4.0)), attempt(2, 6.0, exited=done())]]
    found = account(shards, totals)
    maybe = [one for one in sends if 2 <= one[1] < 4]
    never = [one for one in sends if 4 <= one[1] < 6]
    assert found.unknown.total() == 2 + len(maybe)
    assert found.unsent.total() == len(never)
    (gap,) = found.gaps
    assert (gap.unknown, gap.unsent, gap.until_s, gap.why) == (2 + len(maybe), len(never), 6.0, "no sign")
    balance(found, totals)


def test_a_witnessed_death_leaves_nothing_unknown():
    totals = ActivityTotals()
    sends = own(schedule(), 0, 1)
    seen, after = [one for one in sends if one[1] < 3], [one for one in sends if one[1] >= 3.2]
    report(totals, "load:0:1", 1, seen[:4], dispatched=4)
    report(totals, "load:0:1", 2, seen[4:], dispatched=len(seen))
    report(totals, "load:0:2", 1, after, dispatched=10**6)
    shards = [[attempt(1, 0.0, exited=died(len(seen))), attempt(2, 3.2, exited=done())]]
    found = account(shards, totals)
    assert found.unknown.total() == 0
    assert found.unsent.total() == len(sends) - len(seen) - len(after)


@pytest.mark.parametrize("late_words_came", [True, False])
def test_what_a_lost_attempt_did_is_known_where_somebody_tells_of_it_later(late_words_came):
    totals = ActivityTotals()
    sends = own(schedule(), 0, 1)
    seen, after = [one for one in sends if one[1] < 3], [one for one in sends if one[1] >= 6]
    report(totals, "load:0:1", 1, seen[:4], dispatched=6, in_flight=[seen[4][0], seen[5][0]])
    if late_words_came:
        report(totals, "load:0:1", 2, seen[4:], dispatched=len(seen))
    report(totals, "load:0:2", 1, after, dispatched=10**6)
    first = attempt(1, 0.0, lost=lost(4.0))
    first = replace(first, witnessed=died(len(seen))(first.id))
    found = account([[first, attempt(2, 6.0, exited=done())]], totals)
    never = [one for one in sends if 3 <= one[1] < 6]
    (gap,) = found.gaps
    assert (gap.unknown, gap.unsent, gap.why) == (0, len(never), "no sign (signal 9)")
    assert found.unsent.total() == len(never)
    assert found.unknown.total() == (0 if late_words_came else len(seen) - 4)
    assert found.twice == 0
    balance(found, totals)


def test_a_death_that_was_found_later_leaves_unknown_what_came_between_the_last_word_and_then():
    totals = ActivityTotals()
    sends = own(schedule(), 0, 1)
    seen = [one for one in sends if one[1] < 2]
    after = [one for one in sends if one[1] >= 4]
    flying = seen[-1][0]
    report(totals, "load:0:1", 1, seen[:-1], dispatched=flying + 1, in_flight=[flying])
    report(totals, "load:0:2", 1, after, dispatched=10**6)

    def found_gone(name):
        return f.Exited(attempt=name, outcome="died", silent_s=START_S + 3.0, known=False)

    found = account([[attempt(1, 0.0, exited=found_gone), attempt(2, 4.0, exited=done())]], totals)
    assert found.unknown.total() == 1 + len([one for one in sends if 2 <= one[1] < 3])
    assert found.unsent.total() == len([one for one in sends if 3 <= one[1] < 4])
    balance(found, totals)


def test_a_shard_that_nobody_began_is_unsent_whole():
    found = account([[]], ActivityTotals())
    assert found.unsent == found.scheduled
    assert found.gaps[0].why == "nobody had begun"


def test_a_hole_in_the_snapshots_of_a_finished_attempt_is_unknown():
    totals = ActivityTotals()
    sends = own(schedule(), 0, 1)
    kept = [one for one in sends if int(one[1]) != 3]
    report(totals, "load:0:1", 2, kept, dispatched=10**6)
    found = account([[attempt(1, 0.0, exited=done())]], totals)
    assert set(found.unknown) - {key for key, count in found.unknown.items() if not count} == {(JUDGED, 3)}
    balance(found, totals)


def test_a_late_answer_turns_unknown_into_known():
    totals = ActivityTotals()
    sends = own(schedule(), 0, 1)
    report(totals, "load:0:1", 1, sends[:3], dispatched=5, in_flight=[3, 4])
    shards = [[attempt(1, 0.0, lost=lost(0.0))]]
    assert account(shards, totals).unknown.total() == 2
    report(totals, "load:0:1", 2, sends[3:4], dispatched=5, in_flight=[4])
    assert account(shards, totals).unknown.total() == 1
    # counted by its cell while the list still has it
    totals.add(Snapshot("load", 0, "", 0, 0.0, 0, 0, [], cells_of(sends[4:5], 0.0)))
    found = account(shards, totals)
    assert found.unknown.total() == found.twice == 0
    balance(found, totals)


def test_an_arrival_answered_twice_is_said():
    totals = ActivityTotals()
    sends = own(schedule(), 0, 1)
    report(totals, "load:0:1", 1, sends, dispatched=10**6)
    report(totals, "load:0:2", 1, sends[-2:], dispatched=10**6)
    shards = [[attempt(1, 0.0, lost=lost(0.0)), attempt(2, 7.0, exited=done())]]
    assert account(shards, totals).twice >= 2


def test_an_answer_in_a_second_without_arrivals_is_said():
    totals = ActivityTotals()
    report(totals, "load:0:1", 1, [*own(schedule(), 0, 1), (99, 55.0)], dispatched=10**6)
    assert account([[attempt(1, 0.0, exited=done())]], totals).twice == 1


def test_what_the_engine_itself_withheld_is_unsent():
    totals = ActivityTotals()
    sends = own(schedule(), 0, 1)
    report(totals, "load:0:1", 1, sends[3:], dispatched=10**6)
    report(totals, "load:0:1", 2, sends[:3], dispatched=10**6, outcome=UNSENT_GENERATOR)
    found = account([[attempt(1, 0.0, exited=done())]], totals)
    assert (found.unsent.total(), found.unknown.total()) == (3, 0)


def test_what_waited_for_the_target_too_long_counts_as_seen():
    totals = ActivityTotals()
    sends = own(schedule(), 0, 1)
    report(totals, "load:0:1", 1, sends, dispatched=10**6, outcome=UNSENT_TARGET)
    found = account([[attempt(1, 0.0, exited=done())]], totals)
    assert found.unsent.total() == found.unknown.total() == 0
    assert totals.outcomes(JUDGED)[UNSENT_TARGET] == len(sends)


def test_a_warm_up_that_ends_inside_a_second_splits_it():
    sends = own(schedule(rate=40.0), 0, 1)
    totals = ActivityTotals()
    report(totals, "load:0:1", 1, sends, dispatched=10**6, warmup_s=2.5)
    found = account([[attempt(1, 0.0, exited=done())]], totals, arrivals=schedule(rate=40.0), warmup_s=2.5)
    assert found.scheduled[WARMUP, 2] == sum(2 <= at_s < 2.5 for _, at_s in sends)
    assert found.scheduled[JUDGED, 2] == sum(2.5 <= at_s < 3 for _, at_s in sends)
    assert found.unknown.total() == 0


def test_arrivals_for_which_there_were_no_rows_left_were_never_due():
    totals = ActivityTotals()
    sends = own(schedule(), 0, 1)
    report(totals, "load:0:1", 1, sends[:20], dispatched=20)
    shards = [[attempt(1, 0.0, exited=done(dispatched=20))]]
    ended = account(shards, totals, ends_with_data=True)
    assert ended.scheduled.total() == 20
    assert ended.unknown.total() == 0
    assert account(shards, totals).unknown.total() == len(sends) - 20


def millis(most):
    """Seconds in whole milliseconds: fences are not finer."""
    return st.integers(0, most).map(lambda number: number / 1000)


@dataclass
class History:
    """What really happened to one activity, and what was heard of it."""

    totals: ActivityTotals = field(default_factory=ActivityTotals)
    shards: list[list[Attempt]] = field(default_factory=list)
    really_sent: int = 0
    certain: bool = True


@st.composite
def histories(draw):
    """Attempts that end well, die in sight or get lost, with snapshots that may have holes."""
    arrivals = schedule(draw(st.sampled_from(["poisson", "constant"])), draw(st.sampled_from([2.0, 9.0])))
    warmup_s = draw(st.sampled_from([0.0, 1.0, 1.5]))
    history, of = History(), draw(st.integers(1, 3))
    for shard in range(of):
        attempts, from_s = [], draw(st.sampled_from([0.0, 0.0, 1.3]))
        for number in range(1, 5):
            how = draw(st.sampled_from(["done", "died", "lost"])) if number < 4 else "done"
            until_s = LENGTH_S if how == "done" else min(LENGTH_S, from_s + draw(millis(4000)))
            sends = [one for one in own(arrivals, shard, of) if from_s <= one[1] < until_s]
            history.really_sent += len(sends)
            name = f"load:{shard}:{number}"
            heard = sends if how != "lost" else sends[: draw(st.integers(0, len(sends)))]
            following = heard[-1][0] + of if heard else 0
            flying = [one[0] for one in heard[-draw(st.integers(0, 2)) :]] if how == "lost" and heard else []
            known = [one for one in heard if one[0] not in flying]
            hole = draw(st.integers(0, 9)) == 0
            report(
                history.totals, name, 2 if hole else 1, known[len(known) // 2 :] if hole else known,
                dispatched=following, in_flight=flying, warmup_s=warmup_s,
            )  # fmt: skip
            history.certain &= how != "lost" and not hole
            if how == "done":
                attempts.append(attempt(number, from_s, shard=shard, of=of, exited=done(following)))
                break
            if how == "died":
                attempts.append(attempt(number, from_s, shard=shard, of=of, exited=died(following)))
                from_s = until_s + draw(millis(2000))
            else:
                fence_s = until_s + draw(millis(2000))
                attempts.append(attempt(number, from_s, shard=shard, of=of, lost=lost(fence_s)))
                from_s = fence_s + draw(millis(1000))
            if from_s >= LENGTH_S or draw(st.integers(0, 5)) == 0:
                break
        history.shards.append(attempts)
    return arrivals, warmup_s, history


@given(histories())
@settings(max_examples=150, deadline=None)
def test_every_arrival_is_accounted_for_once_and_the_targets_log_lies_between(made):
    arrivals, warmup_s, history = made
    found = account(history.shards, history.totals, arrivals=arrivals, warmup_s=warmup_s)
    balance(found, history.totals)
    assert found.twice == 0
    assert found.scheduled.total() == sum(len(own(arrivals, shard, 1)) for shard in range(1))
    assert min([*found.unknown.values(), *found.unsent.values(), 0]) == 0
    reported = sum(sum(row.outcomes.values()) for row in history.totals.seconds.values())
    assert reported <= history.really_sent <= reported + found.unknown.total()
    if history.certain:
        assert found.unknown.total() == 0


TURNS = 3


def talked(totals, name, seq, cells, *, sessions=0, offered=0, waiting=0):
    """A snapshot of conversations: `sessions` first turns were decided."""
    counts = SessionCounts(begun=sessions, offered=offered, waiting=waiting)
    shard = int(name.split(":")[1])
    totals.absorb(
        Snapshot("load", shard, name, seq, 0.0, sessions * TURNS, 0, [], list(cells), sessions=counts)
    )


def account_talks(shards, totals):
    return account_sessions(
        schedule(process="constant"), turns=TURNS, warmup_s=0.0, start_s=START_S, shards=shards, totals=totals
    )


def test_turns_are_due_when_they_were_begun():
    totals = ActivityTotals()
    cells = [Cell(0, JUDGED, {"ok": 90, "http_503": 5}, {}, {}), Cell(1, JUDGED, {"ok": 10}, {}, {})]
    talked(totals, "load:0:1", 1, cells, sessions=48, offered=105)
    found = account_talks([[attempt(1, 0.0, exited=done(48 * TURNS))]], totals)
    assert found.scheduled.total() == 105
    assert found.unknown.total() == found.unsent.total() == 0
    balance(found, totals)


def test_turns_in_a_hole_of_the_snapshots_are_unknown():
    totals = ActivityTotals()
    talked(totals, "load:0:1", 2, [Cell(0, JUDGED, {"ok": 90}, {}, {})], sessions=48, offered=100)
    found = account_talks([[attempt(1, 0.0, exited=done(48 * TURNS))]], totals)
    assert (found.scheduled.total(), found.unknown.total()) == (100, 10)
    balance(found, totals)


@pytest.mark.parametrize(("end", "unknown", "unsent"), [("seen", 0, 7), ("lost", 7 * (TURNS - 1), 0)])
def test_conversations_cut_between_two_turns_miss_their_next_one(end, unknown, unsent):
    totals = ActivityTotals()
    talked(totals, "load:0:1", 1, [Cell(0, JUDGED, {"ok": 20}, {}, {})], sessions=12, offered=20, waiting=7)
    talked(totals, "load:0:2", 1, [Cell(4, JUDGED, {"ok": 60}, {}, {})], sessions=48, offered=60)
    first = {"exited": died(12 * TURNS)} if end == "seen" else {"lost": lost(2.0)}
    shards = [[attempt(1, 0.0, **first), attempt(2, 4.0, exited=done(48 * TURNS))]]
    found = account_talks(shards, totals)
    # 6/s: of the sessions 12 to 23, due in seconds 2 and 3, none was begun
    assert found.unknown.total() == unknown
    assert found.unsent.total() == 12 + unsent
    assert found.scheduled.total() == 20 + 60 + 12 + unknown + unsent
    assert any("7 conversations were cut off between two turns" in gap.why for gap in found.gaps)
    balance(found, totals)


def test_conversations_of_a_lost_engine_may_have_gone_on_to_their_last_turns():
    totals = ActivityTotals()
    counts = SessionCounts(begun=6, offered=10, waiting=3)
    cells = [Cell(0, JUDGED, {"ok": 8}, {}, {})]
    totals.absorb(Snapshot("load", 0, "load:0:1", 1, 0.0, 6 * TURNS, 10, [4, 7], cells, sessions=counts))
    found = account_talks([[attempt(1, 0.0, lost=lost(2.0))]], totals)
    # 6/s: two turns were in flight; those and three that waited go on, and the sessions due until the fence
    assert found.unknown.total() == 2 + (TURNS - 1) * (2 + 3) + TURNS * 6
    balance(found, totals)


def test_users_that_talk_are_accounted_for_by_what_they_began():
    totals = ActivityTotals()
    talked(totals, "load:0:1", 1, [Cell(0, JUDGED, {"ok": 20}, {}, {})], sessions=7, offered=20, waiting=3)
    found = account_sessions(
        ClosedArrivals(users=3, think_s=0.0, duration_s=LENGTH_S),
        turns=TURNS, warmup_s=0.0, start_s=START_S, shards=[[attempt(1, 0.0, exited=died(0))]], totals=totals,
    )  # fmt: skip
    assert (found.scheduled.total(), found.unsent.total()) == (23, 3)
