"""Proxies of faults: one port is one proxy all through a campaign, and holds one fault at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from orchestrator.campaign.composing import Part, built, kind_named, parts_of, steps_of
from orchestrator.campaign.findings import Finding
from orchestrator.campaign.models import Campaign, ChaosActivity
from orchestrator.campaign.yaml_reader import Path
from workers.chaos.contract import OnTheWay
from workers.contract.addresses import LOOPBACK, apart, plain_host


@dataclass(frozen=True, slots=True)
class _Use:
    """A fault that needs a proxy, and where it stands in the file."""

    path: Path
    phase: int
    model: ChaosActivity
    part: Part

    @property
    def port(self) -> Any:
        return self.part.options.get("listen")

    @property
    def leads(self) -> tuple[Any, Any]:
        return self.part.options.get("upstream"), self.part.options.get("bind", LOOPBACK)


def check_proxies(campaign: Campaign) -> Iterator[Finding]:
    """What is wrong with the proxies that faults need; of faults whose options are right."""
    uses = list(_uses(campaign))
    yield from (_loop(use) for use in uses if _leads_to_itself(use))
    said: set[Path] = set()
    for one, other in combinations(uses, 2):
        if one.port != other.port or one.model.where != other.model.where or other.path in said:
            continue
        if one.leads != other.leads:
            said.add(other.path)
            yield Finding(
                (*other.path, "with", "listen"),
                f"port {one.port} is that of a proxy to {one.leads[0]} already, in {one.model.name}",
                "it stands for the whole campaign: say another port",
            )
        elif _meet(one, other):
            said.add(other.path)
            yield Finding(
                other.path,
                f"the proxy on port {one.port} holds a fault of {one.model.name} at the same time",
                "one fault a target at a time: do one after the other, or say both in one `with`",
            )


def _uses(campaign: Campaign) -> Iterator[_Use]:
    for number, phase in enumerate(campaign.phases):
        for place, activity in enumerate(phase.activities):
            for part in parts_of(activity) if isinstance(activity, ChaosActivity) else ():
                kind = kind_named(part.fault)
                if kind is not None and isinstance(built(part.options, kind), OnTheWay):
                    path: Path = ("phases", number, "activities", place, *part.path)
                    assert isinstance(activity, ChaosActivity)  # noqa: S101  # others have no parts
                    yield _Use(path, number, activity, part)


def _leads_to_itself(use: _Use) -> bool:
    upstream, bind = use.leads
    host, port = apart(str(upstream))
    return bool(port == use.port and plain_host(host) == plain_host(str(bind)))


def _loop(use: _Use) -> Finding:
    return Finding(
        (*use.path, "with", "upstream"), "is the proxy itself", "say where the proxy is to lead to"
    )


def _meet(one: _Use, other: _Use) -> bool:
    """Whether both are held at one time; what is drawn may or may not, and is seen to when it is done."""
    if one.phase != other.phase or "random" in (one.model.order, other.model.order):
        return False
    spans = [
        [
            (step.at_s, step.at_s + step.for_s)
            for step in steps_of(use.model, seed=0, key="")
            if step.fault == use.part.fault and step.options.get("listen") == use.port
        ]
        for use in (one, other)
    ]
    if one.model is other.model:
        return one.model.order == "parallel" and any(
            a is not b and a[0] < b[1] and b[0] < a[1] for a, b in combinations(spans[0], 2)
        )
    return any(a[0] < b[1] and b[0] < a[1] for a in spans[0] for b in spans[1])
