"""A target's page of metrics as a source: the gauges that a fault's expectations name."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from workers.contract.spec import GaugeSpec
from workers.watching.contract import UnreadError, Value
from workers.watching.fetch import Place, fetch

MOST_LINES: Final = 10_000
"""Series of one name on one page: whoever has more is to name labels."""


@dataclass(slots=True)
class GaugeSource:
    """Gauges of one page of metrics."""

    place: Place
    target: str
    gauges: tuple[GaugeSpec, ...]

    @property
    def name(self) -> str:
        """The target whose page it is."""
        return f"metrics of {self.target}"

    @property
    def series(self) -> tuple[str, ...]:
        """One for each gauge."""
        return tuple(one.name for one in self.gauges)

    def poll(self) -> Sequence[Value]:
        """What each gauge says now. Raises UnreadError."""
        text = fetch(self.place, "").body.decode("utf-8", "replace")
        return [value_of(one, text, self.place.shown) for one in self.gauges]


def value_of(gauge: GaugeSpec, text: str, where: str) -> Value:
    """The sum of a gauge's series that have its labels; none at all is no value, for 0 would be a claim.

    `text`: Prometheus's text format.
    """
    wanted = dict(gauge.labels)
    try:
        found = [
            float(sample.value)
            for sample in _samples(gauge.metric, text)
            if wanted.items() <= sample.labels.items()
        ]
    except ValueError as error:
        return Value(gauge.name, None, f"{where}: {gauge.metric} cannot be read: {error}")
    if not found:
        return Value(gauge.name, None, f"{where} shows no {gauge.metric} with these labels")
    total = sum(found)
    if math.isnan(total):
        return Value(gauge.name, None, f"{where}: {gauge.metric} is NaN")
    return Value(gauge.name, total)


def _samples(metric: str, text: str) -> Iterator[Any]:
    """The samples of one metric; a page may have thousands of others, which are not parsed."""
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415  # few workers need it

    lines = [line for line in text.splitlines() if _is_of(line, metric)]
    if len(lines) > MOST_LINES:
        raise UnreadError(f"the page has {len(lines)} series of {metric}: name labels")
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        yield from family.samples


def _is_of(line: str, metric: str) -> bool:
    return line.startswith(metric) and line[len(metric) : len(metric) + 1] in ("{", " ", "\t")
