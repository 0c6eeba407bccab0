"""The arrivals of a load or soak laid out in time: rates, stages and ramps as segments. Pure."""

from collections.abc import Iterator

from orchestrator.campaign.models import Arrivals, LoadActivity, SoakActivity
from workers.contract.files.traces import Trace
from workers.contract.schedule import ClosedArrivals, OpenArrivals, Segment, recorded


def arrivals_of(
    activity: LoadActivity | SoakActivity, *, key: str, seed: int, trace: Trace | None = None
) -> OpenArrivals | ClosedArrivals | None:
    """The activity's arrival process with its stages and ramps laid out in time.

    `trace`: what was recorded; None for an activity that replays a trace which nobody has read.
    """
    wanted = activity.arrivals
    if wanted.process == "trace":
        return None if trace is None else recorded(trace, stream=key)
    if wanted.process == "closed":
        assert wanted.users is not None  # noqa: S101  # checked when the file was read
        return ClosedArrivals(
            users=wanted.users,
            think_s=wanted.think,
            duration_s=activity.duration or 0.0,
            ramp_s=wanted.ramp,
        )
    segments = tuple(_segments(wanted, activity.duration))
    return OpenArrivals(
        process=wanted.process,
        segments=segments,
        seed=seed,
        stream=key,
        burstiness=wanted.burstiness or 1.0,
    )


def _segments(arrivals: Arrivals, duration_s: float | None) -> Iterator[Segment]:
    """Spans of linear rate: a ramp from the rate before (at first 0), then the plateau."""
    if not arrivals.stages:
        rate, length = arrivals.rate or 0.0, duration_s or 0.0
        yield from _stage(0.0, length, ramp_s=arrivals.ramp or 0.0, before=0.0, rate=rate, name="")
        return
    at_s, before = 0.0, 0.0
    for stage in arrivals.stages:
        yield from _stage(
            at_s, stage.for_, ramp_s=stage.ramp, before=before, rate=stage.rate, name=stage.name or ""
        )
        at_s += stage.for_
        before = stage.rate


def _stage(
    at_s: float, length_s: float, *, ramp_s: float, before: float, rate: float, name: str
) -> Iterator[Segment]:
    ramp_s = min(ramp_s, length_s)
    if ramp_s > 0:
        yield Segment(at_s, at_s + ramp_s, before, rate, name)
    if length_s > ramp_s:
        yield Segment(at_s + ramp_s, at_s + length_s, rate, rate, name)
