"""Who looks at the single requests of an attempt: the slowest are always told of, samples where asked for."""

from collections.abc import Sequence
from pathlib import Path

from workers.contract.samples import SpoolHeader
from workers.contract.snapshot import ErrorExample, SlowRequest
from workers.contract.spec import LoadSpec, RegressionSpec, ShardTask
from workers.engine import wire
from workers.engine.arrival import NS, Arrival
from workers.engine.excerpts import Excerpts
from workers.engine.measure import Measured
from workers.engine.recorder import Recorder
from workers.engine.samples import Sampler
from workers.engine.slowest import Slowest
from workers.engine.spool import Spool
from workers.engine.witness import Asked
from workers.protocols.contract import Request


class Observers:
    """A `Witness` that passes every request on."""

    __slots__ = ("_sampler", "_slowest", "saw")

    def __init__(self, slowest: Slowest, sampler: Sampler | None) -> None:
        self._slowest = slowest
        self._sampler = sampler
        self.saw = slowest.saw if sampler is None else self._both

    @property
    def floor_s(self) -> float:
        """Faster ok requests need not be shown: all are where there are samples."""
        return self._slowest.floor_s if self._sampler is None else -1.0

    def start(self) -> None:
        """The attempt begins."""
        if self._sampler is not None:
            self._sampler.start()

    def finish(self) -> None:
        """Nothing more is seen; write what is left."""
        if self._sampler is not None:
            self._sampler.finish()

    def slowest(self) -> list[SlowRequest]:
        """Slow requests since the last call."""
        return self._slowest.drain()

    def illustrated(self, examples: Sequence[ErrorExample]) -> list[ErrorExample]:
        """Failed requests with their trace and how their answers began."""
        return self._slowest.illustrated(examples)

    def sampled(self) -> tuple[int, list[str]]:
        """(samples picked, warnings) since the last call."""
        return self._sampler.drain() if self._sampler is not None else (0, [])

    def _both(self, arrival: Arrival, request: Request, *, asked: Asked, sample: Measured) -> None:
        self._slowest.saw(arrival, request, asked=asked, sample=sample)
        assert self._sampler is not None  # noqa: S101  # else this is not called
        self._sampler.saw(arrival, request, asked=asked, sample=sample)


def observers_of(
    spec: LoadSpec | RegressionSpec,
    *,
    task: ShardTask,
    seen: wire.Seen,
    begin: wire.Begin,
    recorder: Recorder,
) -> Observers:
    """Those of one attempt that begins now."""
    excerpts = Excerpts(seen.secrets)
    # a locustfile sends what it likes: our trace context is not in it
    traced = not isinstance(spec, LoadSpec) or spec.locustfile is None
    slowest = Slowest(campaign=task.campaign, excerpts=excerpts, recorder=recorder, traced=traced)
    if not isinstance(spec, LoadSpec) or spec.samples is None:
        return Observers(slowest, None)
    header = SpoolHeader(
        campaign=task.campaign,
        phase=spec.phase,
        activity=task.activity,
        shard=task.shard,
        number=task.number,
        attempt=task.attempt,
        start_s=begin.start_ns / NS + begin.common_offset_s,
        warmup_s=spec.warmup_s,
        url=spec.samples.url,
        place=0,
        traced=traced,
    )
    spool = Spool(Path(seen.spool), header) if seen.spool else None
    return Observers(slowest, Sampler(spec.samples, seed=spec.seed, spool=spool, excerpts=excerpts))
