"""What the leader does outside a journal, each once in its life: tasks, orders, leases taken away."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from orchestrator.campaign.models import Campaign
from orchestrator.decide import actions as a
from orchestrator.dispatch import Sender
from orchestrator.facts import State
from orchestrator.plan import Plan
from orchestrator.results.results import Results
from orchestrator.specs import capped, spec_of
from orchestrator.store.store import Store
from workers.contract import facts as f
from workers.contract.control import Order, Stop
from workers.contract.signed.signing import NO_KEYS, Keys
from workers.contract.signed.trust import sign_order
from workers.contract.spec import ShardTask, encode_spec

TASK_LIVES_S = 60.0
TOGETHER = 500
"""Tasks or orders between which it is noted what was done: after a failure only so many are done again."""
GIVEN_UP = "the coordinator gave this attempt up"
Effect = a.Send | a.Tell | a.Revoke


@dataclass(slots=True)
class Effects:
    """`done`: effects that this leader has had. `specs`: activity -> sha256 of its spec in Redis.

    `keys`: what tasks and orders are signed with. `parts`: activity -> its part of the ceiling on its target.
    """

    id: str
    store: Store
    results: Results
    send: Sender
    campaign: Campaign
    plan: Plan
    keys: Keys = NO_KEYS
    parts: Mapping[str, float] = field(default_factory=dict)
    done: set[Effect] = field(default_factory=set)
    specs: dict[str, str] = field(default_factory=dict)

    def have(self, effects: Iterable[Effect], state: State, now_s: float) -> None:
        """Carry out what was not, in order; a successor does all of it again, which is harmless."""
        fresh = [one for one in effects if one not in self.done]
        for _, alike in groupby(fresh, type):
            for some in _parts(tuple(alike)):
                self._have(some, state, now_s)
                self.done.update(some)

    def _have(self, some: Sequence[Effect], state: State, now_s: float) -> None:
        tasks: list[ShardTask] = []
        orders: list[tuple[str, Order]] = []
        for effect in some:
            match effect:
                case a.Send(attempt):
                    tasks.append(self._task(attempt, state, now_s))
                case a.Tell(worker, order):
                    orders.append((worker, order))
                case a.Revoke(attempt):
                    self.store.revoke(self.id, attempt)
                    # whoever could write its lease into Redis again could not sign this
                    stop = Stop(campaign=self.id, attempt=attempt, why=GIVEN_UP)
                    known = state.attempts.get(attempt)
                    orders.append((state.strangers[attempt] if known is None else known.worker, stop))
        if tasks:
            self.send(*tasks)
        if orders:
            self.store.order([(worker, sign_order(order, keys=self.keys)) for worker, order in orders])

    def _task(self, id_: str, state: State, now_s: float) -> ShardTask:
        attempt = state.attempts[id_]
        activity = self.plan.activity(attempt.activity)
        return ShardTask(
            campaign=self.id,
            activity=attempt.activity,
            shard=attempt.shard,
            of=attempt.of,
            number=attempt.number,
            attempt=id_,
            worker=attempt.worker,
            incarnation=attempt.incarnation,
            spec_sha256=self._spec(attempt.activity, state),
            kind=activity.kind,
            expires_s=now_s + TASK_LIVES_S,
            probe=attempt.shard == 0 and activity.needs_engine and attempt.from_s is None,
            skip_rows=attempt.skip_rows,
        )

    def _spec(self, activity: str, state: State) -> str:
        """The activity's spec in Redis, by its sha256."""
        if activity not in self.specs:
            said = state.submitted
            assert isinstance(said, f.Submitted)  # noqa: S101  # a run is opened from this fact
            spec = spec_of(
                self.plan.activity(activity),
                self.campaign,
                run=self.id,
                seed=said.seed,
                files=said.files,
                urls=said.urls,
                cases=said.cases.get(activity, 0),
                samples_url=self.results.samples(self.id),
            )
            sha256, body = encode_spec(capped(spec, self.parts.get(activity)))
            self.store.put_spec(self.id, sha256, body)
            self.specs[activity] = sha256
        return self.specs[activity]


def _parts(effects: Sequence[Effect]) -> Iterator[Sequence[Effect]]:
    for first in range(0, len(effects), TOGETHER):
        yield effects[first : first + TOGETHER]
