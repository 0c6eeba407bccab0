"""What a shard is asked to do.

The activity's spec, stored once by its sha256, and the small task that points at it.
"""

import hashlib
from typing import Any

import msgspec

from workers.contract.behaviour import Retries, Sessions
from workers.contract.bounds import Bound
from workers.contract.data import DataSpec
from workers.contract.fault_steps import FaultStep
from workers.contract.samples import SampleSpec
from workers.contract.schedule import ClosedArrivals, OpenArrivals


class FileRef(msgspec.Struct, frozen=True):
    """A data file stored by content; workers fetch it once and cache it."""

    sha256: str
    size_bytes: int
    name: str


class Tls(msgspec.Struct, frozen=True):
    """TLS of a target: file references for CA, certificate and key; `verify` off trusts anyone."""

    ca: FileRef | None = None
    cert: FileRef | None = None
    key: FileRef | None = None
    verify: bool = True
    server_name: str | None = None


class TargetSpec(msgspec.Struct, frozen=True):
    """The service under test. `headers` may hold `${env:NAME}` references, resolved on the worker.

    `options`: the protocol's own options as its `Options` struct reads them (url included). `tokenizer`: a
    tokenizer.json by which lengths are made, and tokens counted where the target tells of none.
    """

    name: str
    protocol: str
    url: str
    options: dict[str, Any]
    timeout_s: float
    headers: dict[str, str] = {}
    tls: Tls | None = None
    rate_limit_per_s: float | None = None
    tokenizer: FileRef | None = None


class LoadSpec(msgspec.Struct, frozen=True, tag="load"):
    """Load or soak.

    `max_in_flight` is the activity's; shard i of n gets its share, the rest going to the first ones.

    `tag_groups`: row tags whose requests are also counted in a group "TAG=VALUE". `warmup_s`: arrivals
    before it go to the group "warmup" alone.

    `locustfile`: the users' own code, read from a directory of the worker's; then there is no `data`.
    """

    campaign: str
    phase: str
    activity: str
    kind: str
    target: TargetSpec
    arrivals: OpenArrivals | ClosedArrivals
    warmup_s: float
    max_in_flight: int
    data: DataSpec | None
    bounds: tuple[Bound, ...]
    tag_groups: tuple[tuple[str, str], ...]
    seed: int
    fence_s: float
    id_header: bool = True
    retries: Retries | None = None
    sessions: Sessions | None = None
    locustfile: FileRef | None = None
    samples: SampleSpec | None = None


class RegressionSpec(msgspec.Struct, frozen=True, tag="regression"):
    """Golden cases, in rounds of `repeats`; case i goes to batch i modulo the number of batches.

    `compare`: {FIELD: {RULE: options}} of the activity. `concurrency` is over all batches. `cases`: how many
    of the file there are up to `limit`; 0 where nobody has counted.
    """

    campaign: str
    phase: str
    activity: str
    target: TargetSpec
    golden: FileRef
    compare: dict[str, dict[str, Any]]
    concurrency: int
    limit: int | None
    bounds: tuple[Bound, ...]
    tag_groups: tuple[tuple[str, str], ...]
    seed: int
    fence_s: float
    repeats: int = 1
    id_header: bool = True
    cases: int = 0


class ChaosSpec(msgspec.Struct, frozen=True, tag="chaos"):
    """What an activity does to each of its hosts: one fault, or a composition, in order of time.

    `protect`: labels of workers that do no fault. `on_generators`: a fault that a whole host feels may be
    done where Redis, a coordinator or load lives. `hidden`: nobody is shown what it is before it is over.
    `target`: what clients are aimed at; `files`: those that options name by their path.
    """

    campaign: str
    phase: str
    activity: str
    steps: tuple[FaultStep, ...]
    fence_s: float
    protect: tuple[str, ...] = ()
    on_generators: bool = False
    hidden: bool = False
    target: TargetSpec | None = None
    files: tuple[FileRef, ...] = ()


class MonitorSpec(msgspec.Struct, frozen=True):
    """Prometheus and Alertmanager, each "" where there is none; all texts may hold references to secrets."""

    prometheus: str = ""
    alertmanager: str = ""
    headers: dict[str, str] = {}
    tls: Tls | None = None


class GaugeSpec(msgspec.Struct, frozen=True):
    """A gauge on the metrics page `url` of a target; several series that fit are added up.

    `name`: by which facts and judgements know it.
    """

    name: str
    target: str
    url: str
    metric: str
    labels: tuple[tuple[str, str], ...] = ()
    headers: dict[str, str] = {}
    tls: Tls | None = None


class SilenceSpec(msgspec.Struct, frozen=True):
    """What Alertmanager is to keep quiet while faults act: matchers (label, = or != or =~ or !~, value).

    `from_s`, `until_s`: seconds after the phase's start; past `until_s` it ends by itself.
    """

    matchers: tuple[tuple[str, str, str], ...]
    from_s: float
    until_s: float


class WatchSpec(msgspec.Struct, frozen=True, tag="watch"):
    """What is looked at once a second while a phase's traffic runs: alerts by name, gauges."""

    campaign: str
    phase: str
    activity: str
    fence_s: float
    monitor: MonitorSpec | None = None
    alerts: tuple[str, ...] = ()
    gauges: tuple[GaugeSpec, ...] = ()
    silences: tuple[SilenceSpec, ...] = ()


ActivitySpec = LoadSpec | RegressionSpec | ChaosSpec | WatchSpec


class ShardTask(msgspec.Struct, frozen=True):
    """The body of a Celery task: who should do which try at which shard of which spec.

    `skip_rows`: golden cases already judged by an earlier attempt. `probe`: ask the target for readiness
    first. `expires_s`: common time after which nobody may claim it. `signature`: the coordinator's, over all
    the rest.
    """

    campaign: str
    activity: str
    shard: int
    of: int
    number: int
    attempt: str
    worker: str
    incarnation: str
    spec_sha256: str
    kind: str
    expires_s: float
    probe: bool = False
    skip_rows: tuple[int, ...] = ()
    signature: str = ""


_WATCH = "@watch"
"""No activity of a campaign can have this name."""


def watch_key(phase: str) -> str:
    """The key of the activity that watches a phase; no report shows it."""
    return f"{phase}/{_WATCH}"


def is_watch(activity: str) -> bool:
    """Whether this is the key of an activity that watches a phase."""
    return activity.endswith(f"/{_WATCH}")


def attempt_id(activity: str, shard: int, number: int) -> str:
    """Name of one try at a shard, unique in its campaign.

    Also the third part of `x-shakeout-id`'s meaning.
    """
    return f"{activity}:{shard}:{number}"


def share(total: int, shard: int, of: int) -> int:
    """A shard's part of a number divided evenly, the rest going to the first ones."""
    return total // of + (1 if shard < total % of else 0)


def longest_s(spec: LoadSpec | RegressionSpec) -> float:
    """How long a request may be under way, at most, counted from its first byte."""
    retries = spec.retries if isinstance(spec, LoadSpec) else None
    return spec.target.timeout_s + (retries.within_s if retries is not None else 0.0)


def encode_spec(spec: ActivitySpec) -> tuple[str, bytes]:
    """The spec's sha256 and its bytes (JSON, keys in a fixed order)."""
    body = msgspec.json.encode(spec, order="deterministic")
    return hashlib.sha256(body).hexdigest(), body


decode_spec = msgspec.json.Decoder(ActivitySpec).decode
