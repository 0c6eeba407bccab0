"""Evidence by the second, as a test wants it, and the judge asked about it."""

from dataclasses import dataclass

import pytest

from orchestrator.slo.bounds import bounds_of
from orchestrator.slo.evidence import Evidence, Second
from orchestrator.slo.judge import judge
from orchestrator.slo.parse import parse
from workers.contract.bounds import BoundCount


@dataclass(frozen=True)
class Limits:
    achieved: float = 0.99
    coverage: float = 0.99
    lag_p99: float = 0.010
    start_skew: float = 1.0


def _seconds(text, *, n=100, over=None, span=(0, 60), less=None, **more):
    bounds = [bound.id for bound in bounds_of([parse(text, place="slos")])]
    rows = []
    for second in range(*span):
        t = over(second) if over else 0
        t_less = less(second) if less else t
        counts = {name: BoundCount(n, t, t_less) for name in bounds}
        rows.append(Second(second, outcomes={"ok": n}, bounds=counts, **more))
    return tuple(rows)


def _outcomes(second, **counts):
    return Second(second, outcomes=counts)


def _evidence(rows, **more):
    span = {"duration_s": 60.0, "kind": "load", "activity": "peak"}
    groups = {"": tuple(rows), **more.pop("groups", {})}
    return Evidence(**{**span, **more}, groups=groups)


def _judged(text, evidence, *, place="slos", campaign_slos=(), fault=None):
    return judge(
        parse(text, place=place),
        evidence,
        place=place,
        campaign_slos=[parse(one, place="slos") for one in campaign_slos],
        validity=Limits(),
        fault=fault,
    )


@pytest.fixture(scope="session")
def limits():
    """The limits of validity that METRICS.md gives."""
    return Limits()


@pytest.fixture(scope="session")
def seconds_of():
    """`seconds_of(text)`: a row a second of `n` ok requests, `over(second)` of them over every bound."""
    return _seconds


@pytest.fixture(scope="session")
def outcomes():
    """`outcomes(second, ok=9, http_503=1)` is a row of counts alone."""
    return _outcomes


@pytest.fixture(scope="session")
def evidence_of():
    """`evidence_of(rows, **fields)`: a load of 60 s, unless the fields say otherwise."""
    return _evidence


@pytest.fixture(scope="session")
def judged():
    """`judged(text, evidence)` parses the text and asks the judge."""
    return _judged
