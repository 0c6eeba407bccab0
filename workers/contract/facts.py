"""The kinds of fact that a campaign's journal is made of, whoever says them.

The journal is a Redis stream; a fact's id makes its append once-only. Times (`at_s`) are seconds of the
common clock (Redis TIME) unless said otherwise; `start_s` and `from_s` of a phase likewise.
"""

import msgspec

from workers.contract.calibration import Calibration
from workers.contract.snapshot import ExitOutcome
from workers.contract.traces import Trace


class _Fact(msgspec.Struct, frozen=True, tag_field="fact", kw_only=True):
    at_s: float = 0.0


# said by the one who submits, aborts or remarks


class Submitted(_Fact, frozen=True, kw_only=True, tag="submitted"):
    """A campaign: its file as read, the values set over it, the seed (drawn if not given) and who sent it.

    `files`: path as written in the campaign file -> (sha256, size in bytes). `urls`: target -> url of a
    demo target that was started for it. `cases`: activity key -> golden cases to judge. `labels`: the
    submitter's own, for lists. `max_time_s`: stop after so long since `at_s`; 0: no such limit. `traces`:
    activity key -> its recorded arrivals, whose packed times are kept like a file. `signature`: over all the
    rest.
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
    signature: str = ""


class AbortAsked(_Fact, frozen=True, kw_only=True, tag="abort-asked"):
    """A person wants the campaign to stop now."""

    by: str
    why: str = ""
    signature: str = ""


class Noted(_Fact, frozen=True, kw_only=True, tag="noted"):
    """A person's remark for the timeline."""

    by: str
    text: str
    signature: str = ""


# decided by the leader


class Accepted(_Fact, frozen=True, kw_only=True, tag="accepted"):
    """The submission's signature held when it came; `key`: whose it is, "" in a fleet without keys.

    `submission`: sha256 of what was submitted. `signature`: the leader's own, over all the rest.
    """

    key: str = ""
    submission: str = ""
    signature: str = ""


class Refused(_Fact, frozen=True, kw_only=True, tag="refused"):
    """Something that a person or the leader seems to have said does not count.

    `what`: submission, acceptance, abort, note; `by`: who it says it is from.
    """

    what: str
    by: str
    why: str


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


class PhaseEnded(_Fact, frozen=True, kw_only=True, tag="phase-ended"):
    """All work of the phase is over and its numbers are in; `verdict` and `reasons` are its own."""

    phase: str
    verdict: str
    reasons: tuple[str, ...] = ()


class Aborting(_Fact, frozen=True, kw_only=True, tag="aborting"):
    """Every engine falls silent and every fault is reverted; no further phase starts."""

    by: str
    why: str
    verdict: str


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
    """A step of a fault: `what` is injected, verified, reverted, residue or failed.

    `uncertainty_s` is the clock's.
    """

    attempt: str
    what: str
    processes: tuple[str, ...] = ()
    took_effect: bool | None = None
    why: str = ""
    uncertainty_s: float = 0.0


Fact = (
    Submitted | AbortAsked | Noted | Accepted | Refused | PhaseOpened | PhaseSkipped | Placed | PhaseStarted |
    Resumed | Lost | PhaseEnded | Aborting | Ended | Claimed | NotReady | Ready | Exited | TaskRefused |
    FaultSeen )  # fmt: skip

encode_fact = msgspec.json.Encoder().encode
decode_fact = msgspec.json.Decoder(Fact).decode


class Gpu(msgspec.Struct, frozen=True):
    """One NVIDIA GPU in the driver's order; `mig`: names of its MIG instances, empty where MIG is off.

    `memory_bytes`: 0 where the driver does not tell. `mig_on`: work can use its instances alone, not the
    whole, also where it has none yet.
    """

    name: str
    uuid: str = ""
    memory_bytes: int = 0
    mig: tuple[str, ...] = ()
    mig_on: bool = False

    @property
    def usable(self) -> tuple[str, ...]:
        """Names of what work can be put on, one for each that `where: {gpus: N}` counts."""
        return self.mig if self.mig_on else (self.name,)


class WorkerCard(msgspec.Struct, frozen=True):
    """What a worker says of itself: the inventory behind `where`.

    `slots`: engines it runs at once. `offset_s`: the common clock minus its own time of day, known to
    `uncertainty_s`. `draining`: takes nothing new. `seen_s`: when it said this, common time. `driver`: of the
    GPUs, or why there is none to be seen. `kernel`, `cpu`, `python`: of the host, for people. `trusts`: ids
    of the signing keys whose tasks it takes; empty: anybody's. `halted`: the red button is pressed, as it
    sees it. `refused`: how many tasks, halts and resumes it did not believe lately; `refused_why`: the last.
    `calibration`: what one engine can do there, as `doctor --calibrate` measured it; `uncalibrated`: why a
    measurement that there is does not count.
    """

    worker: str
    incarnation: str
    host: str
    version: str
    slots: int
    labels: tuple[str, ...] = ()
    gpus: tuple[Gpu, ...] = ()
    driver: str = ""
    kernel: str = ""
    cpu: str = ""
    python: str = ""
    trusts: tuple[str, ...] = ()
    halted: bool = False
    refused: int = 0
    refused_why: str = ""
    pid: int = 0
    cores: int = 0
    memory_bytes: int = 0
    offset_s: float = 0.0
    uncertainty_s: float = 0.0
    draining: bool = False
    seen_s: float = 0.0
    calibration: Calibration | None = None
    uncalibrated: str = ""
