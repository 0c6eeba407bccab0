"""Every name that an expression may use, its unit and how it is judged: the table of METRICS.md section 5."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# Units of a bound, in base units. MONEY stands for any currency code.
SECONDS: Final = "s"
FRACTION: Final = "fraction"
PER_SECOND: Final = "/s"
BYTES: Final = "B"
JOULES: Final = "J"
WATTS: Final = "W"
NUMBER: Final = ""
MONEY: Final = "money"

TRAFFIC: Final = ("load", "soak", "regression", "search")
MEASURED: Final = ("load", "soak", "search")
JUDGED: Final = ("load", "soak")


@dataclass(frozen=True, slots=True)
class Series:
    """A quantity with many values: stands in `p99(...)`, `mean(...)`, `max(...)`, `min(...)`.

    `source` is `requests`, or the telemetry source that a phase needs for it: `host`, `nvml`, `process`,
    `target`.
    """

    units: tuple[str, ...]
    source: str = "requests"


@dataclass(frozen=True, slots=True)
class ScalarName:
    """A quantity with one value: stands without brackets.

    `kinds` are the activity kinds whose `slos` may name it; `sampled` is S of the table.
    """

    units: tuple[str, ...]
    sampled: bool
    kinds: tuple[str, ...]


_TIMES: Final = ("latency", "service_time", "wait", "ttft", "ttft_sent", "ttfot", "tpot")

# What one request has one value of, so that a limit in goodput(...) can be held against it.
PER_REQUEST_SERIES: Final[Mapping[str, Series]] = {name: Series((SECONDS,)) for name in _TIMES}
REQUEST_SERIES: Final[Mapping[str, Series]] = {**PER_REQUEST_SERIES, "itl": Series((SECONDS,))}

TELEMETRY_SERIES: Final[Mapping[str, Series]] = {
    "host.cpu": Series((FRACTION,), "host"),
    "host.steal": Series((FRACTION,), "host"),
    "host.memory_used": Series((BYTES, FRACTION), "host"),
    "host.disk_used": Series((BYTES, FRACTION), "host"),
    "gpu.utilisation": Series((FRACTION,), "nvml"),
    "gpu.memory_used": Series((BYTES, FRACTION), "nvml"),
    "gpu.power": Series((WATTS,), "nvml"),
    "gpu.temperature": Series((NUMBER,), "nvml"),
    "process.rss": Series((BYTES,), "process"),
    "process.cpu": Series((FRACTION,), "process"),
    "process.descriptors": Series((NUMBER,), "process"),
    "process.threads": Series((NUMBER,), "process"),
    "target.rss": Series((BYTES,), "target"),
    "target.descriptors": Series((NUMBER,), "target"),
    "target.running": Series((NUMBER,), "target"),
    "target.waiting": Series((NUMBER,), "target"),
    "target.kv_cache_used": Series((FRACTION,), "target"),
}
ALL_SERIES: Final[Mapping[str, Series]] = {**REQUEST_SERIES, **TELEMETRY_SERIES}

SCALARS: Final[Mapping[str, ScalarName]] = {
    "success_rate": ScalarName((FRACTION,), sampled=True, kinds=TRAFFIC),
    "rate": ScalarName((PER_SECOND,), sampled=False, kinds=TRAFFIC),
    "throughput": ScalarName((PER_SECOND,), sampled=False, kinds=TRAFFIC),
    "tokens_per_s": ScalarName((NUMBER,), sampled=False, kinds=TRAFFIC),
    "pass_rate": ScalarName((FRACTION,), sampled=False, kinds=("regression",)),
    "agreement": ScalarName((FRACTION,), sampled=False, kinds=("regression",)),
    "contract_violations": ScalarName((NUMBER,), sampled=False, kinds=("regression",)),
    "joules_per_token": ScalarName((NUMBER, JOULES), sampled=False, kinds=MEASURED),
    "joules_per_request": ScalarName((NUMBER, JOULES), sampled=False, kinds=MEASURED),
    "cost_per_1k_tokens": ScalarName((MONEY,), sampled=False, kinds=MEASURED),
    "cost_per_1k_requests": ScalarName((MONEY,), sampled=False, kinds=MEASURED),
    "burn_rate": ScalarName((NUMBER,), sampled=False, kinds=JUDGED),
    "recovery": ScalarName((SECONDS,), sampled=False, kinds=()),
    "max_rate": ScalarName((PER_SECOND,), sampled=False, kinds=("search",)),
    "max_concurrency": ScalarName((NUMBER,), sampled=False, kinds=("search",)),
}

OUTCOMES: Final = ("ok", "timeout", "connect", "reset", "incomplete", "invalid", "unsent")
DRIFT_METHODS: Final = ("psi", "js", "wasserstein", "ks")
# Tags that a run gives its rows itself, besides the tags of the data (METRICS.md section 5).
GIVEN_TAGS: Final = ("mutation", "probe", "stage")
