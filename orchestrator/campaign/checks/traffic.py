"""Load, soak and search: which keys go together, and how much is offered (CAMPAIGN.md sections 5, 6, 7)."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from orchestrator.campaign.arrivals import Arrivals, Lengths, Synthetic, SyntheticData
from orchestrator.campaign.checks.walk import activities, length_s, target_of
from orchestrator.campaign.findings import Finding, nearest
from orchestrator.campaign.models import (
    Campaign,
    LoadActivity,
    SearchActivity,
    SoakActivity,
    Stage,
)  # fmt: skip
from orchestrator.campaign.units import percent_text
from orchestrator.campaign.yaml_reader import Path
from orchestrator.slo.names import TELEMETRY_SERIES
from workers.contract.files.trace_formats import MAX_LENGTH

# Which keys of `arrivals` belong to which process.
_KEYS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "constant": ("rate", "stages", "ramp"),
        "poisson": ("rate", "stages", "ramp"),
        "gamma": ("rate", "stages", "ramp", "burstiness"),
        "trace": ("trace", "speed"),
        "closed": ("users", "think", "ramp"),
    }
)
_NEEDED: Final[Mapping[str, str]] = MappingProxyType(
    {"gamma": "burstiness", "trace": "trace", "closed": "users"}
)
_WATCHED: Final = ("latency", "ttft", "tpot", "throughput", *TELEMETRY_SERIES)


def check_traffic(campaign: Campaign) -> Iterator[Finding]:
    """What is wrong with the loads, soaks and searches."""
    for path, _, activity in activities(campaign):
        if not isinstance(activity, LoadActivity | SoakActivity | SearchActivity):
            continue
        yield from _arrivals(
            (*path, "arrivals"), activity.arrivals, searched=isinstance(activity, SearchActivity)
        )
        yield from _data(campaign, path, activity)
        if activity.split is not None and abs(sum(activity.split.values()) - 1) > 1e-9:
            total = sum(activity.split.values())
            yield Finding(
                (*path, "split"),
                f"shares out {percent_text(round(total, 6))} of the requests",
                "say 100% in all",
            )
        if isinstance(activity, SearchActivity):
            yield from _search(path, activity)
        else:
            yield from _schedule(path, activity)
        if isinstance(activity, SoakActivity):
            for index, name in enumerate(activity.watch):
                if name not in _WATCHED:
                    hint = nearest(name, list(_WATCHED))
                    yield Finding((*path, "watch", index), f"{name!r} cannot be watched", hint)


def _arrivals(path: Path, arrivals: Arrivals, *, searched: bool) -> Iterator[Finding]:
    process, given = arrivals.process, arrivals.model_fields_set
    for key in sorted(given - {"process"} - set(_KEYS[process])):
        owners = [name for name, keys in _KEYS.items() if key in keys]
        yield Finding(
            (*path, key), f"no key of process {process}", f"processes that have it: {', '.join(owners)}"
        )
    needed = _NEEDED.get(process)
    if needed and needed not in given and not (searched and process == "closed"):
        yield Finding((*path, needed), f"is missing (process {process} needs it)")
    if searched:
        for key in sorted(given & {"rate", "stages", "ramp", "users", "trace"}):
            yield Finding(
                (*path, key), "a search sets the level itself", "leave it out; `between` has the levels"
            )
        return
    if "rate" in _KEYS[process]:
        if (arrivals.rate is None) == (arrivals.stages is None):
            found = "both" if arrivals.rate is not None else "neither"
            yield Finding(path, f"needs exactly one of rate and stages, has {found}", "say rate: 10/s")
        if arrivals.stages is not None and "ramp" in given:
            yield Finding((*path, "ramp"), "stands beside stages", "give each stage its own ramp")
    yield from _stages(path, arrivals.stages or ())


def _stages(path: Path, stages: tuple[Stage, ...]) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, stage in enumerate(stages):
        if stage.ramp > stage.for_:
            yield Finding(
                (*path, "stages", index, "ramp"), "is longer than the stage", "it lies inside `for`"
            )
        if stage.name in seen:
            yield Finding((*path, "stages", index, "name"), f"a second stage named {stage.name}")
        seen |= {stage.name} if stage.name else set()


def _schedule(path: Path, activity: LoadActivity | SoakActivity) -> Iterator[Finding]:
    arrivals = activity.arrivals
    length = length_s(activity)
    gives_length = "stages" if arrivals.stages else "trace" if arrivals.process == "trace" else ""
    if gives_length and activity.duration is not None:
        yield Finding(
            (*path, "duration"), f"stands beside `{gives_length}`, which says how long it is", "leave it out"
        )
    if not gives_length and activity.duration is None:
        yield Finding((*path, "duration"), f"is missing (a {activity.kind} activity needs it)", "say 30s")
    if length is not None and activity.warmup >= length:
        yield Finding((*path, "warmup"), "leaves nothing to judge: it is as long as the activity")
    if activity.duration is not None and arrivals.ramp > activity.duration:
        yield Finding((*path, "arrivals", "ramp"), "is longer than the activity")


def _data(
    campaign: Campaign, path: Path, activity: LoadActivity | SoakActivity | SearchActivity
) -> Iterator[Finding]:
    locustfile = None if isinstance(activity, SearchActivity) else activity.locustfile
    if locustfile is not None and activity.arrivals.process != "closed":
        yield Finding((*path, "locustfile"), "needs process: closed; a locustfile paces itself")
    if activity.data is None and locustfile is None:
        hint = "a file, or {synthetic: {input_tokens: 32, output_tokens: 24}}"
        yield Finding((*path, "data"), "is missing: it says what to send", hint)
    if not isinstance(activity.data, SyntheticData):
        return
    where = (*path, "data", "synthetic")
    target = target_of(campaign, activity.target)
    if target is not None and not target.protocol.startswith("openai-"):
        yield Finding(where, f"made-up prompts need an openai target, {activity.target} is {target.protocol}")
    for key in ("input_tokens", "output_tokens", "shared_prefix"):
        lengths = getattr(activity.data.synthetic, key)
        if isinstance(lengths, Lengths):
            yield from _lengths((*where, key), lengths)
        if _longest(lengths) > MAX_LENGTH:
            yield Finding((*where, key), f"is longer than {MAX_LENGTH:,}, the most of one prompt or answer")
    yield from _prefix(where, activity.data.synthetic)


def _prefix(where: Path, made: Synthetic) -> Iterator[Finding]:
    """A prefix that no prompt is as long as leaves nothing of them that is their own."""
    prompts = made.input_tokens
    longest = prompts if isinstance(prompts, int) else (prompts.uniform or (0, 0))[1]
    if isinstance(made.shared_prefix, int) and 0 < longest < made.shared_prefix:
        yield Finding((*where, "shared_prefix"), f"is longer than the longest prompt, {longest:,}")


def _lengths(path: Path, lengths: Lengths) -> Iterator[Finding]:
    if len(lengths.model_fields_set) != 1:
        found = ", ".join(sorted(lengths.model_fields_set)) or "none"
        yield Finding(path, f"needs exactly one of uniform, normal, lognormal, histogram, has {found}")
    if lengths.uniform is not None and lengths.uniform[0] > lengths.uniform[1]:
        yield Finding((*path, "uniform"), "the lower end stands first")


def _longest(lengths: int | Lengths) -> float:
    """The length that is asked for as such: of a distribution its upper end or its middle."""
    if isinstance(lengths, int):
        return lengths
    asked = [*(lengths.uniform or ())]
    asked += [int(lengths.normal.mean)] if lengths.normal is not None else []
    asked += [int(lengths.lognormal.median)] if lengths.lognormal is not None else []
    return max(asked, default=0)


def _search(path: Path, activity: SearchActivity) -> Iterator[Finding]:
    low, high = activity.between
    closed = activity.arrivals.process == "closed"
    if low >= high:
        yield Finding((*path, "between"), "the lower level stands first, and must be below the other")
    if activity.settle >= activity.step:
        yield Finding(
            (*path, "settle"), "leaves nothing of a step to judge", "it must be shorter than `step`"
        )
    if activity.arrivals.process == "trace":
        yield Finding((*path, "arrivals", "process"), "a trace has its own rate; it cannot be searched")
    elif closed != (activity.find == "max concurrency"):
        needed = "closed" if activity.find == "max concurrency" else "constant, poisson or gamma"
        yield Finding((*path, "arrivals", "process"), f"to find {activity.find} it must be {needed}")
    if activity.tolerance == 0:
        yield Finding((*path, "tolerance"), "no search ends with an interval of width 0", "say 5%")
