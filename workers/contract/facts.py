"""The kinds of fact that a campaign's journal is made of, whoever says them.

The journal is a Redis stream; a fact's id makes its append once-only. Times (`at_s`) are seconds of the
common clock (Redis TIME) unless said otherwise; `start_s` and `from_s` of a phase likewise.
"""

import msgspec

from workers.contract.cards import Gpu, WorkerCard
from workers.contract.decoding import guarded
from workers.contract.files.traces import Trace
from workers.contract.signed.people import (
    WORDS,
    AbortAsked,
    Approved,
    Denied,
    Noted,
    Observed,
    Revealed,
    StepDone,
    Word,
)
from workers.contract.snapshot import ExitOutcome

__all__ = [
    "WORDS", "AbortAsked", "Approved", "Denied", "Gpu", "Noted", "Observed", "Revealed", "StepDone", "Word",
    "WorkerCard",
]  # fmt: skip
# what stands in rooms of its own, beside all that is defined here


class _Fact(msgspec.Struct, frozen=True, tag_field="fact", kw_only=True):
    """`signature`: over the campaign's id and all the rest, by who says it; "" in a fleet without keys."""

    at_s: float = 0.0
    signature: str = ""


# said by the one who submits


class Submitted(_Fact, frozen=True, kw_only=True, tag="submitted"):
    """A campaign: its file as read, the values set over it, the seed (drawn if not given) and who sent it.

    `files`: path as written in the campaign file -> (sha256, size in bytes). `urls`: target -> url of a
    demo target that was started for it. `cases`: activity key -> golden cases to judge. `labels`: the
    submitter's own, for lists. `max_time_s`: stop after so long since `at_s`; 0: no such limit. `traces`:
    activity key -> its recorded arrivals, whose packed times are kept like a file. `schedule`: the name of
    the schedule by which a leader submitted it, `due_s` when it was due, `schedule_key` whose schedule it is.
    """

    campaign: str
    text: str
    sets: tuple[str, ...] = ()
    seed: int = 0
    by: str = ""
    files: dict[str, tuple[str, int]] = {}
    urls: dict[str, str] = {}
    cases: dict[str, int] = {}
    labels: dict[str, str] = {}
    max_time_s: float = 0.0
    traces: dict[str, Trace] = {}
    schedule: str = ""
    due_s: float = 0.0
    schedule_key: str = ""


# decided by the leader


class Accepted(_Fact, frozen=True, kw_only=True, tag="accepted"):
    """The submission's signature held when it came; `key`: whose it is, "" in a fleet without keys.

    `submission`: sha256 of what was submitted.
    """

    key: str = ""
    submission: str = ""


class Refused(_Fact, frozen=True, kw_only=True, tag="refused"):
    """Something that a person or the leader seems to have said does not count.

    `what`: submission, acceptance, abort, note, approval, step, reveal, decision, observation; `by`: who it
    says it is from.
    """

    what: str
    by: str
    why: str


class ApprovalAsked(_Fact, frozen=True, kw_only=True, tag="approval-asked"):
    """A phase needs the approval of a role, whose holder is told at `address` by whoever reads this."""

    phase: str
    role: str
    address: str = ""
    within_s: float = 0.0


class GateReached(_Fact, frozen=True, kw_only=True, tag="gate-reached"):
    """All before the phase is over; it waits for its approval until `until_s` of common time."""

    phase: str
    until_s: float


class Posed(_Fact, frozen=True, kw_only=True, tag="posed"):
    """A rehearsal: the fault of an activity is told to those at the table, in words; nothing is injected."""

    activity: str
    text: str


class AnnounceFailed(_Fact, frozen=True, kw_only=True, tag="announce-failed"):
    """The webhook of a game day was not told of something."""

    what: str
    why: str


class Stationed(_Fact, frozen=True, kw_only=True, tag="stationed"):
    """Which workers do an activity's faults, decided once: its proxies stand there for the whole campaign."""

    activity: str
    workers: tuple[str, ...]


class PhaseOpened(_Fact, frozen=True, kw_only=True, tag="phase-opened"):
    """The phase may be placed from now on."""

    phase: str


class PhaseSkipped(_Fact, frozen=True, kw_only=True, tag="phase-skipped"):
    """A phase that it requires did not hold."""

    phase: str
    why: str


class Placed(_Fact, frozen=True, kw_only=True, tag="placed"):
    """Attempt `number` at a shard belongs to one incarnation of one worker."""

    attempt: str
    phase: str
    activity: str
    shard: int
    of: int
    number: int
    worker: str
    incarnation: str
    host: str = ""
    skip_rows: tuple[int, ...] = ()


class PhaseStarted(_Fact, frozen=True, kw_only=True, tag="phase-started"):
    """All shards were ready: the phase's second 0 is `start_s`."""

    phase: str
    start_s: float


class Resumed(_Fact, frozen=True, kw_only=True, tag="resumed"):
    """A successor takes its shard's arrivals from `from_s` on: intended time, since the phase's start."""

    attempt: str
    from_s: float


class Lost(_Fact, frozen=True, kw_only=True, tag="lost"):
    """The leader gave up an attempt: its lease ran out, or nobody claimed it in time.

    It may have sent until `fence_s`.
    """

    attempt: str
    fence_s: float
    why: str


class HandedOver(_Fact, frozen=True, kw_only=True, tag="handed-over"):
    """A draining worker's attempt takes only arrivals before `until_s`: intended, since the phase's start.

    Its successor is ready to take those after it, once the attempt has said `Yielded`.
    """

    attempt: str
    until_s: float


class FaultsWithheld(_Fact, frozen=True, kw_only=True, tag="faults-withheld"):
    """No fault of the phase is done: the traffic was not steady before the first of them."""

    phase: str
    why: str


class PhaseEnded(_Fact, frozen=True, kw_only=True, tag="phase-ended"):
    """All work of the phase is over and its numbers are in; `verdict` and `reasons` are its own."""

    phase: str
    verdict: str
    reasons: tuple[str, ...] = ()


class Aborting(_Fact, frozen=True, kw_only=True, tag="aborting"):
    """Every engine falls silent and every fault is reverted; no further phase starts.

    `key`: whose signature a person's word had; "" where no person stopped it, or in a fleet without keys.
    `torn`: the journal lacks decisions that engines acted upon, so what is not accounted for is unknown.
    """

    by: str
    why: str
    verdict: str
    key: str = ""
    torn: bool = False


class Ended(_Fact, frozen=True, kw_only=True, tag="ended"):
    """The last fact of a campaign."""

    verdict: str
    reasons: tuple[str, ...] = ()


# seen by a worker


class Claimed(_Fact, frozen=True, kw_only=True, tag="claimed"):
    """A worker took the attempt; nobody else can."""

    attempt: str
    worker: str
    incarnation: str


class NotReady(_Fact, frozen=True, kw_only=True, tag="not-ready"):
    """The attempt is waiting for something outside, say a target that does not answer yet."""

    attempt: str
    why: str


class Ready(_Fact, frozen=True, kw_only=True, tag="ready"):
    """The attempt waits for the start; its schedule hashes to `fingerprint` under numpy `numpy`."""

    attempt: str
    fingerprint: str = ""
    numpy: str = ""


class Draining(_Fact, frozen=True, kw_only=True, tag="draining"):
    """Its worker wants to be rid of the attempt, and goes on for a while, until a successor is ready."""

    attempt: str
    why: str = ""


class Yielded(_Fact, frozen=True, kw_only=True, tag="yielded"):
    """No arrival intended at `until_s` of the phase or later will be begun; what was, may still be under way.

    That is answers, tries again, and later turns of conversations. `until_s` is what it was told, or later
    where the order came late.
    """

    attempt: str
    until_s: float


class Exited(_Fact, frozen=True, kw_only=True, tag="exited"):
    """The attempt is over, witnessed by its worker or by that worker's next life.

    `dispatched`: own indices below it are decided; `last_seq`: number of its last snapshot (0: none);
    `silent_s`: the moment after which it certainly sent nothing more. `known` false: what it did between its
    last snapshot and then nobody knows. `samples_why`: why samples of it are not stored, "" where all are.
    """

    attempt: str
    outcome: ExitOutcome
    why: str = ""
    dispatched: int = 0
    last_seq: int = 0
    silent_s: float = 0.0
    known: bool = True
    samples_why: str = ""


class TaskRefused(_Fact, frozen=True, kw_only=True, tag="task-refused"):
    """A task for this attempt came to a worker that does not believe it; the attempt itself goes on."""

    attempt: str
    worker: str
    why: str


class FaultSeen(_Fact, frozen=True, kw_only=True, tag="fault-seen"):
    """Something of a fault: `what` is injected, verified, reverted, residue or failed.

    `step`: which of the activity's steps it is (`FaultStep`), `fault` its kind. `touched`: what else than
    processes it is done to. `uncertainty_s` is the clock's. `did`: what it has done, counted.
    """

    attempt: str
    what: str
    step: int = 0
    fault: str = ""
    processes: tuple[str, ...] = ()
    touched: tuple[str, ...] = ()
    took_effect: bool | None = None
    why: str = ""
    uncertainty_s: float = 0.0
    did: dict[str, int] = {}


class AlertSeen(_Fact, frozen=True, kw_only=True, tag="alert-seen"):
    """How an alert stands: said first of all, and whenever that has changed.

    `source`: who says so: prometheus, alertmanager, or webhook, what Alertmanager sent us. `state`: absent
    (there is no such rule), inactive, pending, firing, resolved. Times are of the common clock, 0.0 where not
    known: `active_s` since when its condition holds, `fired_s` since when it fires, `ended_s` when it ceased,
    `received_s` when the source had it. Of several series the first to fire and the last to cease count.
    `for_s`: how long its rule waits; `every_s`: how often it is evaluated. `uncertainty_s`: of these times.
    `silenced`: ids of silences that keep it quiet.
    """

    attempt: str
    alert: str
    source: str
    state: str
    active_s: float = 0.0
    fired_s: float = 0.0
    ended_s: float = 0.0
    received_s: float = 0.0
    for_s: float = 0.0
    every_s: float = 0.0
    uncertainty_s: float = 0.0
    silenced: tuple[str, ...] = ()


class Gauged(_Fact, frozen=True, kw_only=True, tag="gauged"):
    """Readings of one series, one a second from common time `start_s` on; None where there was none.

    `why`: the last reason for one that is missing. `gauge`: `GaugeSpec.name`; of a monitor itself
    `prometheus` or `alertmanager`: 1.0 where it answered. `uncertainty_s`: of the clock.
    """

    attempt: str
    gauge: str
    start_s: float
    values: tuple[float | None, ...]
    why: str = ""
    uncertainty_s: float = 0.0


class Silenced(_Fact, frozen=True, kw_only=True, tag="silenced"):
    """Something of a silence in Alertmanager: `what` is created, removed or failed.

    `id`: Alertmanager's; "" of one that could not be created. `matchers`: what it keeps quiet. At `until_s`
    it ends by itself.
    """

    attempt: str
    what: str
    id: str
    matchers: str
    until_s: float = 0.0
    why: str = ""


Fact = (
    Submitted | Word | Accepted | Refused | ApprovalAsked | GateReached | Posed | AnnounceFailed |
    Stationed | PhaseOpened | PhaseSkipped | Placed | PhaseStarted | Resumed | Lost | HandedOver |
    FaultsWithheld | PhaseEnded | Aborting | Ended | Claimed | NotReady | Ready | Draining | Yielded |
    Exited | TaskRefused | FaultSeen | AlertSeen | Gauged | Silenced )  # fmt: skip

encode_fact = msgspec.json.Encoder().encode
decode_fact = guarded(msgspec.json.Decoder(Fact).decode)
