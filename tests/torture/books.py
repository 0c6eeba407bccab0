"""Afterwards: every report held against the target's own log, the schedule and the journal."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.campaign.load import load_campaign
from orchestrator.plan import plan_of
from tests.torture.rounds import CASES, Round
from workers.contract.schedule import Block, OpenArrivals, arrivals_between

FILES = ("campaign.yaml", "journal.jsonl", "report.json", "report.html", "report.md", "junit.xml")
VERDICTS = {0: "pass", 1: "fail", 3: "inconclusive", 4: "invalid"}
ONCE_EACH = ("phase-opened", "placed", "claimed", "phase-started", "resumed", "lost", "exited", "phase-ended")
"""Facts that stand in a journal once for each attempt or phase, whoever led."""


def received(log: Path) -> dict[str, list[int]]:
    """Activity -> indices of the requests that the target has received, in order."""
    found: dict[str, list[int]] = defaultdict(list)
    for line in log.read_text().splitlines():
        if not line.endswith("}"):
            continue
        entry = json.loads(line)
        if entry["event"] == "received" and entry["id"]:
            activity, index, _ = entry["id"].rsplit("/", 2)
            found[activity].append(int(index))
    return found


def audit(one: Round, *, runs: Path, log: Mapping[str, Sequence[int]]) -> Iterator[str]:
    """What is wrong with one campaign, in words; nothing where its promise was kept."""
    folder = runs / one.id
    missing = [name for name in FILES if not (folder / name).exists()]
    if not one.id or missing:
        yield f"it left no {', '.join(missing) or 'id'} (exit code {one.code})"
        return
    report = json.loads((folder / "report.json").read_text())
    if report["verdict"] == "fail":
        yield f"the target is blamed, and did nothing wrong: {report['reasons']}"
    if VERDICTS.get(one.code) != report["verdict"]:
        yield f"`submit --wait` exited with {one.code}, the report says {report['verdict']}"
    if not (one.out / "report.json").exists():
        yield f"`submit --wait --out` left no report in {one.out}"
    yield from _journal(folder / "journal.jsonl")
    for fault in report["faults"]:
        whys = report["activities"][fault["activity"]]["reasons"]
        told = fault["reverted"] or any("never seen reverted" in why for why in whys)
        if fault["injected"] and not told:
            yield f"fault {fault['name']} was put in, and the report does not say what became of it"
        if fault["residue"]:
            yield f"fault {fault['name']} left something behind: {fault['residue']}"
    if one.name in report["activities"]:
        account = {"regression": _cases, "users": _users}.get(one.kind, _load)
        yield from account(one, report["activities"][one.name], log.get(one.name, ()))
    elif report["verdict"] != "invalid":
        yield f"{one.name} is not in the report"


def _journal(path: Path) -> Iterator[str]:
    facts = [json.loads(line) for line in path.read_text().splitlines()]
    said = Counter(
        (fact["fact"], fact.get("attempt", fact.get("phase")))
        for fact in facts
        if fact.get("fact") in ONCE_EACH
    )
    for (kind, whose), count in said.items():
        if count > 1:
            yield f"{kind} of {whose} stands {count} times in the journal"
    ends = [fact["verdict"] for fact in facts if fact["fact"] == "ended"]
    if len(ends) != 1 or ends[0] in ("internal", "refused"):
        yield f"its journal says that it ended with {ends}"


def _load(one: Round, activity: Mapping[str, Any], seen: Sequence[int]) -> Iterator[str]:
    """No index twice, and no arrival missing that no gap tells of."""
    counts = activity["requests"]
    twice = [index for index, count in Counter(seen).items() if count > 1]
    if twice:
        yield f"arrivals {twice[:10]} were offered twice"
    yield from _sums(counts)
    yield from _log(counts, len(set(seen)))
    if activity["generator"]["twice"]:
        yield f"{activity['generator']['twice']} arrivals are accounted for twice"
    yield from _gaps(one, activity, set(seen))


def _users(_: Round, activity: Mapping[str, Any], seen: Sequence[int]) -> Iterator[str]:
    """Users have no schedule: what they may have sent unheard is unknown."""
    counts = activity["requests"]
    yield from _sums(counts)
    yield from _log(counts, len(seen))


def _sums(counts: Mapping[str, int]) -> Iterator[str]:
    """scheduled = ok + failed + unsent + unknown."""
    if counts["scheduled"] != counts["ok"] + counts["failed"] + counts["unsent"] + counts["unknown"]:
        yield f"the counts do not add up: {counts}"


def _log(counts: Mapping[str, int], seen: int) -> Iterator[str]:
    """sent ≤ log ≤ sent + unknown."""
    if not counts["sent"] <= seen <= counts["sent"] + counts["unknown"]:
        yield f"the target's log has {seen}, the report {counts}"


def _gaps(one: Round, activity: Mapping[str, Any], seen: set[int]) -> Iterator[str]:
    gaps, counts = activity["gaps"], activity["requests"]
    block, shards = planned(one)
    if len(block.indices) != counts["scheduled"]:
        yield f"{counts['scheduled']} were scheduled, the schedule has {len(block.indices)}"
    stray = 0
    inside = [0] * len(gaps)
    for index, at_ns in zip(block.indices.tolist(), block.times_ns.tolist(), strict=True):
        if index in seen:
            continue
        of = [
            place
            for place, gap in enumerate(gaps)
            if index % shards == gap["shard"] and gap["from_s"] <= at_ns / 1e9 + 1e-6 <= gap["until_s"] + 2e-6
        ]
        stray += not of
        for place in of:
            inside[place] += 1
    for gap, missing in zip(gaps, inside, strict=True):
        if not gap["unsent"] <= missing + 1 or missing > gap["unsent"] + gap["unknown"] + 1:
            yield f"in {gap} the target's log lacks {missing}"
    stated = sum(gap["unsent"] + gap["unknown"] for gap in gaps)
    if stray > counts["unsent"] + counts["unknown"] - stated + len(gaps):
        yield f"{stray} arrivals are missing outside every gap; counts {counts}, gaps {gaps}"


def planned(one: Round) -> tuple[Block, int]:
    """All arrivals that a load was to offer, and over how many shards."""
    loaded = load_campaign(one.text)
    activity = plan_of(loaded.campaign, seed=loaded.campaign.seed or 0).activity(one.name)
    assert isinstance(activity.arrivals, OpenArrivals)
    assert activity.shards is not None
    until_ns = round(activity.arrivals.duration_s * 1e9) + 1
    return arrivals_between(
        activity.arrivals, shard=0, of=1, from_index=0, until_ns=until_ns
    ), activity.shards


def _cases(_: Round, activity: Mapping[str, Any], seen: Sequence[int]) -> Iterator[str]:
    """Each case is judged once, however often it was asked: one whose answer nobody saw is asked again."""
    counts, cases = activity["requests"], activity["cases"]
    if not cases["judged"] <= min(CASES, len(set(seen))) or not set(seen) <= set(range(CASES)):
        yield f"{cases['judged']} of {CASES} cases were judged, {len(set(seen))} were asked"
    yield from _sums(counts)
    yield from _log(counts, len(seen))
    if cases["passed"] != cases["judged"]:
        yield f"{cases['judged'] - cases['passed']} cases failed, and the target did nothing wrong"
