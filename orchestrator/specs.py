"""A planned activity -> the spec that its shards receive.

Pure: files are named by content, secrets stay references.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import structs

from orchestrator.campaign.arrivals import Lengths
from orchestrator.campaign.fault_clients import done_by_clients, files_of_faults
from orchestrator.campaign.models import (
    Activity,
    Campaign,
    ChaosActivity,
    FileData,
    LoadActivity,
    Phase,
    RegressionActivity,
    SoakActivity,
    SyntheticData,
    Target,
)
from orchestrator.client_specs import retries_of, sessions_of, turn_groups
from orchestrator.plan import ActivityPlan, activity_keys
from orchestrator.slo.bounds import bounds_of
from orchestrator.slo.expressions import Expression
from orchestrator.watch_specs import watch_spec
from workers.contract import data as wire_data
from workers.contract.kinds import resolve
from workers.contract.samples import SampleSpec
from workers.contract.schedule import OpenArrivals
from workers.contract.spec import (
    ActivitySpec,
    ChaosSpec,
    FileRef,
    LoadSpec,
    RegressionSpec,
    TargetSpec,
    Tls,
    WatchSpec,
)
from workers.protocols import TABLE

Files = Mapping[str, tuple[str, int]]
"""Path as the campaign file writes it -> (sha256, size in bytes)."""


def spec_of(
    activity: ActivityPlan,
    campaign: Campaign,
    *,
    run: str,
    seed: int,
    files: Files,
    urls: Mapping[str, str],
    cases: int = 0,
    samples_url: str = "",
) -> ActivitySpec:
    """The spec of one activity.

    `run`: the campaign's id; `urls`: target -> url of a demo target that was started; `cases`: how many
    golden cases will be asked, repeats included. `samples_url`: folder that samples go to.
    """
    if activity.kind == "watch":
        phase = next(one for one in campaign.phases if one.name == activity.phase)
        return watch_spec(phase, campaign, run=run, files=files, urls=urls)
    model, phase = _in_file(activity, campaign)
    if isinstance(model, ChaosActivity):
        return _chaos_spec(activity, model, campaign, run=run, files=files, urls=urls)
    assert isinstance(model, LoadActivity | SoakActivity | RegressionActivity)  # noqa: S101  # others are refused
    target = campaign.targets[model.target]
    assert isinstance(target, Target)  # noqa: S101  # checked when the file was read
    expressions = expressions_on(model, phase_activities=phase.activities, campaign=campaign)
    bounds = bounds_of(expressions)
    tags = tuple(sorted({one.suffixes.tag for one in expressions if one.suffixes.tag is not None}))
    where = target_spec(model.target, target, files=files, urls=urls)
    if isinstance(model, RegressionActivity):
        assert model.golden is not None  # noqa: S101  # probes do not run yet
        return RegressionSpec(
            campaign=run,
            phase=phase.name,
            activity=activity.key,
            target=where,
            golden=_ref(model.golden, files),
            compare=dict(model.compare or {}),
            concurrency=model.concurrency,
            limit=model.limit,
            bounds=bounds,
            tag_groups=tags,
            seed=seed,
            fence_s=campaign.on_lost_coordinator,
            repeats=model.repeats,
            cases=cases // model.repeats,
        )
    assert activity.arrivals is not None  # noqa: S101  # a submission says what its traces hold
    groups = (*tags, *_stage_groups(activity), *turn_groups(model.sessions))
    return LoadSpec(
        campaign=run,
        phase=phase.name,
        activity=activity.key,
        kind=activity.kind,
        target=where,
        arrivals=activity.arrivals,
        warmup_s=activity.warmup_s,
        max_in_flight=activity.max_in_flight,
        data=None if model.locustfile else _data(model.data, files, protocol=target.protocol),
        bounds=bounds,
        tag_groups=tuple(dict.fromkeys(groups)),
        seed=seed,
        fence_s=campaign.on_lost_coordinator,
        samples=SampleSpec(activity.samples, samples_url) if activity.samples and samples_url else None,
        retries=retries_of(model.retries, timeout_s=target.timeout),
        sessions=sessions_of(model.sessions),
        locustfile=_maybe_ref(model.locustfile, files),
    )


def _chaos_spec(
    activity: ActivityPlan,
    model: ChaosActivity,
    campaign: Campaign,
    *,
    run: str,
    files: Files,
    urls: Mapping[str, str],
) -> ChaosSpec:
    return ChaosSpec(
        campaign=run,
        phase=activity.phase,
        activity=activity.key,
        steps=activity.steps,
        fence_s=campaign.on_lost_coordinator,
        protect=campaign.protect,
        on_generators=model.on_generators,
        hidden=model.hidden,
        target=aimed_at(model, campaign, files=files, urls=urls),
        files=tuple(_ref(name, files) for name in files_of_faults(model)),
    )


def capped(spec: ActivitySpec, per_s: float | None) -> ActivitySpec:
    """The spec with its activity's own part of the ceilings on its target; None leaves it as it is."""
    if isinstance(spec, ChaosSpec) and spec.target is not None and per_s is not None:
        return structs.replace(spec, target=structs.replace(spec.target, rate_limit_per_s=per_s))
    if per_s is None or isinstance(spec, ChaosSpec | WatchSpec):
        return spec
    return structs.replace(spec, target=structs.replace(spec.target, rate_limit_per_s=per_s))


def aimed_at(
    model: ChaosActivity, campaign: Campaign, *, files: Files, urls: Mapping[str, str]
) -> TargetSpec | None:
    """What the clients of a chaos activity are aimed at; None where none of its faults is done by clients."""
    target = campaign.targets.get(model.target or "")
    if model.target is None or not isinstance(target, Target) or not done_by_clients(model):
        return None
    return target_spec(model.target, target, files=files, urls=urls)


def _in_file(activity: ActivityPlan, campaign: Campaign) -> tuple[Activity, Phase]:
    """The activity as the campaign file has it, and its phase."""
    keys = activity_keys(campaign)
    return next(
        (one, phase)
        for phase in campaign.phases
        for one in phase.activities
        if keys[phase.name, one.name] == activity.key
    )


def expressions_on(
    model: Any, *, phase_activities: Iterable[Any], campaign: Campaign
) -> tuple[Expression, ...]:
    """Every expression whose bounds must be counted on an activity.

    Its own, the campaign's, and faults' expectations.
    """
    found: list[Expression] = list(model.slos)
    if isinstance(model, LoadActivity | SoakActivity):
        found += [*campaign.slos, *campaign.abort_if]
        for other in phase_activities:
            if isinstance(other, ChaosActivity):
                found += other.expect
    return tuple(found)


def target_spec(name: str, target: Target, *, files: Files, urls: Mapping[str, str]) -> TargetSpec:
    """The target as an engine needs it."""
    url = urls.get(name) or target.url or ""
    kind: Any = resolve("workers.protocols", TABLE, target.protocol)
    known = set(kind.Options.__struct_fields__)
    given = {**target.model_dump(exclude_none=True), "url": url}
    tls = None
    if target.tls is not None:
        tls = Tls(
            ca=_maybe_ref(target.tls.ca, files),
            cert=_maybe_ref(target.tls.cert, files),
            key=_maybe_ref(target.tls.key, files),
            verify=target.tls.verify,
            server_name=target.tls.server_name,
        )
    return TargetSpec(
        name=name,
        protocol=target.protocol,
        url=url,
        options={key: value for key, value in given.items() if key in known},
        timeout_s=target.timeout,
        headers=dict(target.headers),
        tls=tls,
        rate_limit_per_s=target.rate_limit,
        tokenizer=_maybe_ref(target.tokenizer, files),
    )


def _stage_groups(activity: ActivityPlan) -> tuple[tuple[str, str], ...]:
    """Named stages are groups of their own, so that `during STAGE` is exact."""
    if not isinstance(activity.arrivals, OpenArrivals):
        return ()
    names = dict.fromkeys(segment.stage for segment in activity.arrivals.segments if segment.stage)
    return tuple(("stage", name) for name in names)


def _ref(path: str, files: Files) -> FileRef:
    sha256, size_bytes = files[path]
    return FileRef(sha256, size_bytes, path)


def _maybe_ref(path: str | None, files: Files) -> FileRef | None:
    return None if path is None else _ref(path, files)


def _data(data: FileData | SyntheticData | None, files: Files, *, protocol: str) -> wire_data.DataSpec:
    """The rows' source; `path` is the file's sha256 until the engine knows where its machine keeps it."""
    assert data is not None  # noqa: S101  # needed unless `locustfile`, which does not run yet
    if isinstance(data, FileData):
        ref = _ref(data.file, files)
        return wire_data.FileData(
            path=ref.sha256,
            order=data.order,
            at_end=data.at_end,
            tags=data.tags,
            name=data.file,
            lengths=takes_prompts(protocol),
        )
    made = data.synthetic
    return wire_data.SyntheticData(
        input_tokens=_length(made.input_tokens, files),
        output_tokens=_length(made.output_tokens, files),
        shared_prefix=_length(made.shared_prefix, files),
    )


def takes_prompts(protocol: str) -> bool:
    """Whether a protocol takes made-up prompts, given or recorded lengths."""
    return protocol.startswith("openai-")


def _length(length: int | Lengths, files: Files) -> wire_data.Length:
    if isinstance(length, int):
        return wire_data.Fixed(length)
    if length.uniform is not None:
        return wire_data.Uniform(length.uniform[0], length.uniform[1])
    if length.normal is not None:
        return wire_data.Normal(length.normal.mean, length.normal.sd)
    if length.lognormal is not None:
        return wire_data.LogNormal(length.lognormal.median, length.lognormal.sigma)
    assert length.histogram is not None  # noqa: S101  # one of them is given: checked when the file was read
    return wire_data.HistogramFile(path=_ref(length.histogram, files).sha256, name=length.histogram)
