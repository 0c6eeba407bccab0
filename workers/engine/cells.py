"""What requests of one second and group measured, raw as it came, and bucketed for a snapshot."""

from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from workers.contract.bounds import BoundCount
from workers.contract.sketch import SketchWire, sketch_of, to_wire
from workers.contract.snapshot import OWN_DELAY, Cell
from workers.engine.breath import breathe
from workers.engine.measure import OK, Measured

PLAIN = ("latency", "service_time", "wait", "connect", "lag", OWN_DELAY)
"""The columns of `RawCell.plain`."""
STREAMED = ("ttft", "ttft_sent", "ttfot", "tpot", "decode", "per_token")
Counted = Sequence[tuple[int, int, int]]


def _floats() -> "array[float]":
    return array("d")


class RawCell:
    """Deltas of one second and group. `plain`: ns of PLAIN, one ok request after the other.

    `series`: seconds, of requests that were looked at one by one. `fine`: requests that broke no limit and
    all add the same to the bounds.
    """

    __slots__ = (
        "bounds", "fine", "input_tokens", "outcomes", "output_tokens", "plain", "series", "without_tokens",
    )  # fmt: skip

    def __init__(self, bounds: int) -> None:
        self.outcomes: dict[str, int] = {}
        self.bounds = [[0, 0, 0] for _ in range(bounds)]
        self.series: defaultdict[str, array[float]] = defaultdict(_floats)
        self.plain = array("q")
        self.fine = 0
        self.input_tokens = 0
        self.output_tokens = 0
        self.without_tokens = 0

    def add(self, counted: Counted) -> None:
        """Add to the bounds, `counted` in their order; none at all is nothing."""
        for sums, (n, over, less) in zip(self.bounds, counted, strict=False):
            sums[0] += n
            sums[1] += over
            sums[2] += less

    def add_ok(self, sample: Measured) -> None:
        """Add the series that an ok request has."""
        series = self.series
        series["latency"].append(sample.latency)
        series["service_time"].append(sample.service_time)
        series["wait"].append(sample.wait)
        for name in STREAMED:
            value = getattr(sample, name)
            if value is not None:
                series[name].append(value)
        if sample.itl:
            series["itl"].extend(sample.itl)

    def add_tokens(self, given: int | None, made: int | None) -> None:
        """Add an ok request's tokens; None where its answer did not tell."""
        if given is not None:
            self.input_tokens += given
        if made is None:
            self.without_tokens += 1
        else:
            self.output_tokens += made

    def bucketed(self, second: int, group: str, *, ids: Sequence[str], fine: Counted) -> Cell:
        """As it travels; lets others run in between."""
        if self.plain:
            self.outcomes[OK] = self.outcomes.get(OK, 0) + len(self.plain) // len(PLAIN)
        for sums, (n, _, _) in zip(self.bounds, fine, strict=True):
            sums[0] += n * self.fine
        bounds = {name: BoundCount(*sums) for name, sums in zip(ids, self.bounds, strict=True) if sums[0]}
        return Cell(
            second,
            group,
            self.outcomes,
            bounds,
            dict(self._sketches()),
            self.input_tokens,
            self.output_tokens,
            self.without_tokens,
        )

    def _sketches(self) -> Iterator[tuple[str, SketchWire]]:
        plain = None
        if self.plain:
            plain = np.frombuffer(self.plain, dtype=np.int64).reshape(-1, len(PLAIN)) / 1e9
        for place, name in enumerate(PLAIN):
            values: npt.NDArray[np.float64] = np.asarray(self.series.pop(name, ()), dtype=np.float64)
            if plain is not None:
                values = np.concatenate((values, plain[:, place]))
            if len(values):
                yield name, to_wire(sketch_of(values))
                breathe()
        for name, rest in self.series.items():
            yield name, to_wire(sketch_of(np.frombuffer(rest, dtype=np.float64)))
            breathe()
