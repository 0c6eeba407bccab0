"""From a request's id in a run's results to the order that sends it once more. Sends nothing itself."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.dataset as ds

from orchestrator.campaign.load import LoadedCampaign, load_campaign, load_campaign_text
from orchestrator.campaign.models import Target
from orchestrator.errors import UsageError
from orchestrator.facts import State, fold_all
from orchestrator.plan import ActivityPlan, PhasePlan, plan_of
from orchestrator.report.masking import MASK, masked_text
from orchestrator.results.results import REPORT, SAMPLES
from orchestrator.specs import spec_of
from workers.contract import facts as f
from workers.contract.data import FileData, HistogramFile, SyntheticData
from workers.contract.replay import Recorded, ReplayOrder
from workers.contract.schedule import OpenArrivals, blocks
from workers.contract.spec import FileRef, LoadSpec, RegressionSpec

JOURNAL: Final = "journal.jsonl"
HIDDEN: Final = "masked-in-the-results"
"""In place of what the results mask, whose brackets YAML would take for a list."""
_COLUMNS: Final = Recorded.__struct_fields__


@dataclass(frozen=True, slots=True)
class Which:
    """A request's id taken apart: `activity/index/attempt`; an activity's key may hold a / itself."""

    id: str
    activity: str
    index: int
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for beside the id.

    `file`: the campaign file that the run was made of, for what its results mask and for its data. `url`: of
    another target. `sets`: `--set` values, for those that the results mask.
    """

    file: Path | None = None
    url: str = ""
    sets: tuple[str, ...] = ()
    allow_targets: tuple[str, ...] = ()
    json: bool = False


def which_request(id_: str) -> Which:
    """Read a request's id. Raises UsageError."""
    parts = id_.rsplit("/", 2)
    if len(parts) != 3 or not parts[0] or not parts[1].isdecimal() or not parts[2].isdecimal():
        raise UsageError(f"{id_!r} is no request's id: that is ACTIVITY/INDEX/ATTEMPT, as the report has it")
    return Which(id_, parts[0], int(parts[1]), int(parts[2]))


def order_of(folder: Path, which: Which, asked: Asked) -> ReplayOrder:
    """The order to send this request of the run whose results are in `folder`.

    Raises UsageError that says why it cannot be sent, CampaignFileError, DataError.
    """
    state = _state(folder)
    said = state.submitted
    if said is None:
        raise UsageError(f"{folder / JOURNAL} does not begin with a submission; it is no journal of a run")
    loaded = _campaign(said, asked)
    plan = plan_of(loaded.campaign, seed=said.seed, traces=said.traces)
    activity = _activity(plan.phases, which)
    notes = _check_attempt(state, which, activity)
    urls = _urls(loaded, activity, said, asked)
    spec = spec_of(
        activity,
        loaded.campaign,
        run=said.campaign,
        seed=said.seed,
        files=said.files,
        urls=urls,
        cases=said.cases.get(activity.key, 0),
    )
    assert isinstance(spec, LoadSpec | RegressionSpec)  # noqa: S101  # others have no requests
    _check_index(activity, which, spec, cases=said.cases.get(activity.key))
    _check_spec(spec, which)
    base = asked.file.parent if asked.file is not None else Path()
    return ReplayOrder(
        campaign=said.campaign,
        request_id=which.id,
        activity=which.activity,
        index=which.index,
        spec=spec,
        files={ref.sha256: str(_local(ref, base)) for ref in _refs(spec)},
        allow_targets=asked.allow_targets,
        recorded=recorded(folder, which),
        notes=notes,
        json=asked.json,
    )


def _state(folder: Path) -> State:
    """What the run's journal says."""
    path = folder / JOURNAL
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}; say the folder of a run's results"
        ) from error
    facts: list[f.Fact] = []
    for number, line in enumerate(lines, start=1):
        try:
            facts.append(f.decode_fact(line))
        except msgspec.DecodeError as error:
            raise UsageError(f"{path}:{number} cannot be read: {error}") from error
    return fold_all(State(), facts)


def _campaign(said: f.Submitted, asked: Asked) -> LoadedCampaign:
    """The run's campaign, with the values that its results mask where the original file is given."""
    kept = [one for one in said.sets if MASK not in one]
    sets = (*kept, *asked.sets)
    if asked.file is not None:
        loaded = load_campaign(asked.file, sets=sets)
        if masked_text(loaded.text, loaded.campaign) != said.text:
            raise UsageError(f"{asked.file} is not the file that {said.campaign} was made of, or has changed")
    else:
        loaded = load_campaign_text(said.text.replace(MASK, HIDDEN), sets=sets)
    masked = [one.partition("=")[0] for one in said.sets if MASK in one]
    again = {one.partition("=")[0] for one in asked.sets}
    if missing := [one for one in masked if one not in again]:
        raise UsageError(f"the results mask --set {missing[0]}: say it again, with its value")
    return loaded


def _activity(phases: Sequence[PhasePlan], which: Which) -> ActivityPlan:
    known = [one for phase in phases for one in phase.activities if one.needs_engine]
    for one in known:
        if one.key == which.activity:
            return one
    names = ", ".join(one.key for one in known) or "none"
    raise UsageError(f"{which.id}: the run has no activity {which.activity!r} with requests; it has {names}")


def _check_attempt(state: State, which: Which, activity: ActivityPlan) -> tuple[str, ...]:
    """Whether there was such an attempt; what must be said of it. Raises UsageError."""
    attempts = state.attempts_of(activity.key)
    if not attempts:
        raise UsageError(f"{which.id}: no attempt at {activity.key} was ever placed, so nothing was sent")
    same = [one for one in attempts if one.number == which.number]
    if not same:
        most = max(one.number for one in attempts)
        raise UsageError(f"{which.id}: there was no attempt {which.number} at {activity.key}, at most {most}")
    found = next((one for one in same if one.shard == which.index % one.of), None)
    if found is None or (found.exited is not None and found.exited.outcome == "done"):
        return ()
    if found.lost is not None:
        return (f"attempt {found.id} was lost ({found.lost.why}): whether it sent this request is not known",)
    why = f" ({found.exited.why})" if found.exited is not None and found.exited.why else ""
    return (f"attempt {found.id} ended early{why}: whether it sent this request stands in its samples alone",)


def _check_index(
    activity: ActivityPlan, which: Which, spec: LoadSpec | RegressionSpec, *, cases: int | None
) -> None:
    """Raises UsageError where the activity has no such request."""
    most: int | None = None
    if isinstance(spec, RegressionSpec):
        most = cases
    elif isinstance(spec.arrivals, OpenArrivals):
        turns = spec.sessions.turns if spec.sessions is not None else 1
        trace = spec.arrivals.trace
        count = trace.count if trace is not None else _count(spec.arrivals, which.index // turns)
        most = None if count is None else count * turns
    if most is not None and which.index >= most:
        raise UsageError(f"{which.id}: {activity.key} has only {most:,} requests, counted from 0")


def _count(arrivals: OpenArrivals, wanted: int) -> int | None:
    """How many arrivals there are, if not more than wanted."""
    last = -1
    for block in blocks(arrivals):
        last = int(block.indices[-1])
        if last >= wanted:
            return None
    return last + 1


def _urls(
    loaded: LoadedCampaign, activity: ActivityPlan, said: f.Submitted, asked: Asked
) -> Mapping[str, str]:
    name = activity.target or ""
    target = loaded.campaign.targets[name]
    assert isinstance(target, Target)  # noqa: S101  # a monitor has no activity
    if masked := [key for key, value in target.headers.items() if HIDDEN in value]:
        raise UsageError(
            f"the results mask the value of header {masked[0]!r}: say --campaign with the file of the run"
        )
    if asked.url:
        return {name: asked.url}
    if target.demo is not None:
        raise UsageError(
            "the demo target of that run ended with it: start one with `shakeout demo-target`, "
            "and say --url http://HOST:PORT"
        )
    if target.url is not None and HIDDEN in target.url:
        raise UsageError(
            "the results mask a part of the target's url: say --campaign with the file of the run"
        )
    return said.urls


def _check_spec(spec: LoadSpec | RegressionSpec, which: Which) -> None:
    """Raises UsageError where the request cannot be made from the data alone."""
    if not isinstance(spec, LoadSpec):
        return
    if spec.locustfile is not None:
        raise UsageError(f"{which.id} was made by the locustfile's own code, and cannot be made again")
    if spec.sessions is not None and which.index % spec.sessions.turns:
        turn = which.index % spec.sessions.turns + 1
        raise UsageError(
            f"{which.id} is turn {turn} of its conversation and repeats the answers before it, which are not "
            f"kept; its first turn is {which.activity}/{which.index - turn + 1}/{which.number}"
        )


def _refs(spec: LoadSpec | RegressionSpec) -> list[FileRef]:
    """Every file that making the request needs."""
    found = [] if isinstance(spec, LoadSpec) else [spec.golden]
    data = spec.data if isinstance(spec, LoadSpec) else None
    if isinstance(data, FileData):
        found.append(FileRef(data.path, 0, data.name))
    if isinstance(data, SyntheticData):
        lengths = (data.input_tokens, data.output_tokens, data.shared_prefix)
        found += [FileRef(one.path, 0, one.name) for one in lengths if isinstance(one, HistogramFile)]
    target = spec.target
    tls = (target.tls.ca, target.tls.cert, target.tls.key) if target.tls is not None else ()
    return [*found, *(ref for ref in (*tls, target.tokenizer) if ref is not None)]


def _local(ref: FileRef, base: Path) -> Path:
    """The file on this machine, as it was in the run. Raises UsageError where it is not there, or differs."""
    path = base / ref.name
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read ({error.strerror}): paths are looked for beside the file of --campaign, "
            "without one from here"
        ) from error
    if found != ref.sha256:
        raise UsageError(
            f"{path} has changed since the run (sha256 {found[:12]}..., then {ref.sha256[:12]}...): the "
            "request would be another"
        )
    return path.absolute()


def recorded(folder: Path, which: Which) -> Recorded | None:
    """What the results say of the request: from its sample, else from the report; None where they do not."""
    return _from_samples(folder / SAMPLES, which) or _from_report(folder / REPORT, which)


def _from_samples(folder: Path, which: Which) -> Recorded | None:
    stem = which.activity.replace("/", ".")
    files = sorted(folder.glob(f"{stem}-*-{which.number}-*.parquet")) if folder.is_dir() else []
    if not files:
        return None
    try:
        rows = ds.dataset(files).to_table(columns=list(_COLUMNS), filter=ds.field("request_id") == which.id)
    except (pa.ArrowException, OSError):
        return None
    found = rows.slice(0, 1).to_pylist()
    return msgspec.convert(found[0], Recorded) if found else None


def _from_report(path: Path, which: Which) -> Recorded | None:
    try:
        said = json.loads(path.read_bytes())["activities"][which.activity]
        entries = [*said.get("slowest", ()), *said.get("errors", ())]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    one = next((entry for entry in entries if entry["request_id"] == which.id), None)
    if one is None:
        return None
    return msgspec.convert({"why": one.get("text", ""), **one}, Recorded)
