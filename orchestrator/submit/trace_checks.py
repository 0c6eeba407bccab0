"""What is wrong with a campaign that only its recorded arrivals tell: lengths and rates. Pure."""

from collections.abc import Iterator, Mapping

from orchestrator.campaign.checks.ceilings import limits, names_beside, on_targets, planned_per_s
from orchestrator.campaign.checks.walk import length_s
from orchestrator.campaign.findings import Finding
from orchestrator.campaign.models import Campaign, ChaosActivity, LoadActivity, Phase, SoakActivity
from orchestrator.campaign.yaml_reader import Path
from orchestrator.submit.recorded import Recording


def check_recorded(
    path: Path,
    activity: LoadActivity | SoakActivity,
    recording: Recording,
    *,
    campaign: Campaign,
    phase: Phase,
) -> Iterator[Finding]:
    """What the length and the peak of one recording make impossible, in its phase."""
    trace = recording.trace
    if activity.warmup >= trace.duration_s:
        message = f"leaves nothing to judge: the trace is {trace.duration_s:g}s long"
        yield Finding((*path, "warmup"), message)
    span_s = trace.duration_s - activity.warmup
    for index, one in enumerate(activity.slos):
        longest_s = max(one.suffixes.over_s or (0.0,))
        if longest_s > span_s > 0:
            yield Finding((*path, "slos", index), f"looks at {longest_s:g}s; the judged span is {span_s:g}s")
    names = names_beside(campaign, activity.target)
    limit = min((per_s for name, per_s in limits(campaign).items() if name in names), default=None)
    others = [one for _, one in on_targets(phase, names, index=0) if one is not activity]
    beside = planned_per_s(others)
    if limit is not None and trace.peak_per_s + beside > limit * (1 + 1e-9):
        together = " together" if beside else ""
        message = (
            f"up to {trace.peak_per_s + beside:g}/s are offered{together}; target {activity.target} has "
            f"rate_limit {limit:g}/s"
        )
        yield Finding((*path, "arrivals"), message, "lower `speed`, or raise rate_limit of the target")


def check_faults(
    path: Path, phase: Phase, recordings: Mapping[tuple[str, str], Recording]
) -> Iterator[Finding]:
    """Faults that end after the phase's traffic; nothing while the length of some of it is not known."""
    ends: list[float] = []
    for one in phase.activities:
        if one.kind in ("chaos", "telemetry"):
            continue
        recording = recordings.get((phase.name, one.name))
        known = length_s(one) if isinstance(one, LoadActivity | SoakActivity) else None
        length = known if recording is None else recording.trace.duration_s
        if length is None:
            return
        ends.append(length)
    for index, one in enumerate(phase.activities):
        fault_ends = one.at + (one.for_ or 0.0) if isinstance(one, ChaosActivity) else 0.0
        if fault_ends >= max(ends):
            message = f"the fault ends at {fault_ends:g}s, the phase's traffic at {max(ends):g}s"
            yield Finding((*path, "activities", index, "at"), message, "it must end before the traffic does")
