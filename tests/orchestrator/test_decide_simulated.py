"""Campaigns over `decide` and `fold` alone, with workers that are killed, stalled and started at random."""

import random
from dataclasses import dataclass, field

import pytest

from orchestrator.facts import State, fold
from workers.contract import control
from workers.contract import facts as f
from workers.contract.schedule import per_second, shard_blocks

SEEDS = 200
TICK_S = 0.5
LONGEST_S = 240.0
FENCE_S = 8.0
LOAD = """\
      - name: steady
        kind: load
        target: chat
        shards: 3
        arrivals: {process: poisson, rate: 8/s}
        duration: 30s
        data: {synthetic: {input_tokens: 8, output_tokens: 8}}
        slos: [success_rate >= 99%]
"""


@dataclass
class Engine:
    """One attempt as its engine does it: silent before `from_s`, past its authorisation, and when it is dead.

    `sends` are the arrivals left to offer, as (index, common time); each is taken out once it was offered.
    """

    attempt: str
    authorised_s: float
    sends: list[tuple[int, float]] | None = None
    ended: str = ""


@dataclass
class Host:
    """One worker's process and its engines; `stalled_until_s`: it neither renews nor listens until then."""

    name: str
    incarnation: int = 1
    alive: bool = True
    back_at_s: float = 0.0
    stalled_until_s: float = 0.0
    engines: dict[str, Engine] = field(default_factory=dict)


class Fleet:
    """Workers that do what the leader of `world` asks, except when chance is against them."""

    def __init__(self, world, card, seed):
        self.world, self.card, self.dice = world, card, random.Random(seed)
        self.hosts = {name: Host(name) for name in "abc"}
        self.offered: dict[int, str] = {}
        self.heard = 0
        self.quiet_from_s = world.now_s + 60

    def tick(self):
        """Half a second: misfortune, then what each worker does, then the leader."""
        self.world.now_s += TICK_S
        for host in self.hosts.values():
            self._misfortune(host)
            self._live(host)
        self.world.fleet = {
            one.name: self.card(one.name, slots=3, incarnation=str(one.incarnation))
            for one in self.hosts.values()
            if one.alive
        }
        if self.dice.random() < 0.02:
            self._another_leader()
        self.world.step()

    def _misfortune(self, host):
        now_s = self.world.now_s
        if not host.alive:
            if now_s >= host.back_at_s:
                host.alive, host.incarnation = True, host.incarnation + 1
            return
        if now_s > self.quiet_from_s:
            return
        chance = self.dice.random()
        if chance < 0.01:
            host.alive, host.back_at_s = False, now_s + self.dice.uniform(1, 20)
            host.engines.clear()
        elif chance < 0.02:
            host.stalled_until_s = now_s + self.dice.uniform(1, 15)
        elif chance < 0.04 and host.engines:
            self.dice.choice(list(host.engines.values())).ended = "died"

    def _live(self, host):
        if not host.alive:
            return
        for engine in list(host.engines.values()):
            self._offer(engine)
        if self.world.now_s < host.stalled_until_s:
            return
        self._take_tasks(host)
        for engine in list(host.engines.values()):
            self._renew(engine)
            self._report(host, engine)

    def _offer(self, engine):
        """Send what is due and allowed; nobody else may ever have sent it."""
        now_s = self.world.now_s
        if engine.ended or engine.sends is None:
            return
        if now_s > engine.authorised_s:
            engine.ended = "stopped"
        until_s = min(now_s, engine.authorised_s)
        while engine.sends and engine.sends[0][1] <= until_s:
            index, _ = engine.sends.pop(0)
            assert index not in self.offered, f"{index}: {self.offered[index]} and {engine.attempt}"
            self.offered[index] = engine.attempt
        if not engine.sends and not engine.ended:
            engine.ended = "done"

    def _take_tasks(self, host):
        world = self.world
        for id_ in world.sent:
            attempt = world.state.attempts[id_]
            mine = (attempt.worker, attempt.incarnation) == (host.name, str(host.incarnation))
            if mine and attempt.status == "placed" and id_ not in world.revoked:
                world.claim(id_)
                host.engines[id_] = Engine(id_, world.now_s + FENCE_S)
                if attempt.activity == "steady":
                    world.ready(id_, fingerprint="same")
                else:
                    world.ready(id_, fingerprint="")

    def _renew(self, engine):
        if engine.ended:
            return
        if engine.attempt in self.world.leases:
            self.world.leases[engine.attempt] = self.world.now_s
            engine.authorised_s = self.world.now_s + FENCE_S
        else:
            engine.ended = "stopped"

    def _report(self, host, engine):
        world = self.world
        for tell in world.told:
            if tell.order.attempt != engine.attempt:
                continue
            if isinstance(tell.order, control.Stop):
                engine.ended = engine.ended or "stopped"
            elif engine.sends is None and not engine.ended:
                self._start(engine, tell.order)
        if engine.ended:
            world.exit(engine.attempt, engine.ended)
            del host.engines[engine.attempt]

    def _start(self, engine, order):
        attempt = self.world.state.attempts[engine.attempt]
        if attempt.activity != "steady":
            if self.world.now_s >= order.start_s + 7:
                engine.ended = "done"
            return
        arrivals = self.world.plan.activity("steady").arrivals
        blocks = shard_blocks(arrivals, shard=attempt.shard, of=attempt.of, from_ns=round(order.from_s * 1e9))
        engine.sends = [
            (int(index), order.start_s + int(at_ns) / 1e9)
            for block in blocks
            for index, at_ns in zip(block.indices, block.times_ns, strict=True)
        ]

    def _another_leader(self):
        """Who takes over reads the journal and stands where the last one stood."""
        state = State()
        for fact in self.world.journal:
            state = fold(state, fact)
        assert state == self.world.state
        self.world.seen = type(self.world.seen)(leading_since_s=self.world.now_s)
        self.world.state = state


@pytest.mark.parametrize("first", range(0, SEEDS, 50))
def test_whatever_dies_every_campaign_ends_and_no_arrival_is_offered_twice(
    world, card, chaos_activity, first
):
    ends = []
    for seed in range(first, first + 50):
        one = world(("only", LOAD + chaos_activity), top=f"on_lost_coordinator: {FENCE_S:g}s\n", workers=())
        fleet = Fleet(one, card, seed)
        one.say(f.Submitted(campaign="c-1", text="", at_s=one.now_s))
        began_s = one.now_s
        while one.state.ended is None:
            fleet.tick()
            assert one.now_s - began_s < LONGEST_S, f"seed {seed} never ends"
        ends.append(len(fleet.offered))
    scheduled = int(per_second(one.plan.activity("steady").arrivals).sum())
    assert 0.9 * scheduled < max(ends) <= scheduled
    assert min(ends) < 0.9 * scheduled, "nothing was ever lost"


def test_lost_shards_are_taken_over_by_the_workers_that_are_left(world, card):
    taken_over = 0
    for seed in range(40):
        one = world(("only", LOAD), top=f"on_lost_coordinator: {FENCE_S:g}s\n", workers=())
        fleet = Fleet(one, card, seed)
        one.say(f.Submitted(campaign="c-1", text="", at_s=one.now_s))
        for _ in range(round(LONGEST_S / TICK_S)):
            if one.state.ended is None:
                fleet.tick()
        successors = {attempt.id for attempt in one.state.attempts.values() if attempt.number > 1}
        taken_over += len(successors & set(fleet.offered.values()))
    assert taken_over > 10
