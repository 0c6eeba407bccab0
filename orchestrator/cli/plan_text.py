"""A plan for people: tables on a terminal, aligned plain text on a pipe, a chart of each phase's rate."""

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.cli.plain import plain
from orchestrator.cli.rate_chart import chart
from orchestrator.placement.eligible import gpu_count
from orchestrator.preview.aimed import FaultPreview, Now
from orchestrator.preview.attended import WatchPreview
from orchestrator.preview.decidable import SloPreview
from orchestrator.preview.preview import ActivityPreview, PhasePreview, Preview
from orchestrator.slo.words import count, seconds

DECIDES = {"yes": "can be decided", "no": "too few requests", "whole": "measured whole", "open": "open"}
COLOURS = {"yes": "green", "no": "yellow", "whole": "", "open": ""}
LOOPBACK = ("127.", "localhost", "[::1]")
"""Hosts that a coordinator may always tell."""
MOST_WORKERS_NAMED = 4
MOST_TOUCHED_NAMED = 4
SHORT = ("kind", "shards", "duration", "requests", "peak", "at", "for", "")
"""Columns of a terminal's table that are never broken into lines."""
Row = tuple[str, ...]


def show(preview: Preview) -> None:
    """Print the whole plan to stdout."""
    console = Console(highlight=False, emoji=False)
    for block in _blocks(preview, console):
        if isinstance(block, Table):
            console.print(block)
        else:
            console.print(block, soft_wrap=True)


def _blocks(preview: Preview, console: Console) -> Iterator[Text | Table]:
    yield _heading(
        f"{preview.campaign}: {count(len(preview.phases), 'phase')}, {_length(preview)}, "
        f"{_number(preview.requests, exact=preview.requests_exact)} requests, seed {preview.seed}"
    )
    yield Text(_fleet(preview))
    yield from _beside(preview)
    if preview.cost is not None:
        cost = preview.cost
        yield Text(
            f"cost: {cost.amount:,.2f} {cost.currency} for {count(cost.machines, 'machine')} over "
            f"{cost.hours:.3g} h; energy comes on top"
        )
    yield from _people(preview)
    for number, phase in enumerate(preview.phases, start=1):
        yield from _phase(phase, number, console)
        yield from (_watched(one) for one in preview.watched if one.phase == phase.name)
    if preview.slos:
        yield _heading("\nWhat can be decided")
        rows = [(_whose(one), one.slo, DECIDES[one.decides], one.why) for one in preview.slos]
        colours = [COLOURS[one.decides] for one in preview.slos]
        yield _table(("activity", "expression", "", "why"), rows, console, colours=colours)
    whose = "Not met by the fleet now" if preview.fleet_is_live else "Not met by the assumed fleet"
    yield from _listed(whose, preview.unmet, "yellow")
    yield from _listed("Planned, but not run by this version", preview.unfinished, "yellow")


def _fleet(preview: Preview) -> str:
    cards = preview.fleet
    if not preview.fleet_is_live:
        slots = count(cards[0].slots, "slot")
        workers = f"{count(len(cards), 'worker')} on this machine, {slots} each"
        return f"assumed fleet: {workers}; no GPU is looked for"
    if not cards:
        return "fleet: no worker is alive"
    gpus = sum(gpu_count(card) for card in cards)
    words = [count(sum(card.slots for card in cards), "slot")]
    words += [f"{preview.slots_taken:,} of them taken by other campaigns"] if preview.slots_taken else []
    words += [count(gpus, "GPU")] if gpus else []
    hosts = count(len({card.host for card in cards}), "host")
    return f"fleet: {count(len(cards), 'worker')} on {hosts}, {', '.join(words)}"


def _beside(preview: Preview) -> Iterator[Text]:
    """Its turn, ceilings, and what nobody has measured."""
    beside = preview.beside
    if beside is None:
        return
    if beside.refused:
        yield Text(f"refused here: {beside.refused}", style="red")
    elif preview.fleet_is_live:
        turn = f"now it {beside.waits}" if beside.waits else "it could begin now"
        ranked = f"priority {beside.priority}" + (", shares its targets" if beside.share_target else "")
        yield Text(f"queue: {turn} ({ranked})", style="yellow" if beside.waits else "")
    for one in beside.ceilings:
        whose = "the operator's" if one.operator else "its rate_limit"
        held = ", ".join(f"{key} {per_s:,.6g}/s" for key, per_s in one.parts.items())
        yield Text(
            f"ceiling: target {' and '.join(one.targets)} ({one.url}) gets at most {one.per_s:,g}/s "
            f"({whose}), of which {one.planned_per_s:,.6g}/s are planned; engines are held to: "
            f"{held or 'nothing is sent'}"
        )
    if preview.fleet_is_live and beside.uncalibrated:
        named = ", ".join(beside.uncalibrated[:MOST_WORKERS_NAMED])
        rest = len(beside.uncalibrated) - MOST_WORKERS_NAMED
        named += f" and {rest} more" if rest > 0 else ""
        yield Text(
            f"not calibrated: {named}; whether an engine there keeps up with its share is not judged "
            "(`shakeout doctor --calibrate` there)"
        )


def _people(preview: Preview) -> Iterator[Text]:
    """A game day's terms, a line each; nothing of any other campaign."""
    day = preview.attended
    if day is None:
        return
    if day.tabletop:
        yield Text("game day: at the table, so nothing is sent or injected and no approval is asked for")
    else:
        shut = f", not on {', '.join(day.blackout)}" if day.blackout else ""
        yield Text(f"game day: {day.window}{shut}")
        yield from (Text(f"  approval of {one}") for one in day.approvals)
    if day.announce:
        free = day.announce.startswith(LOOPBACK)
        how = "" if free else " (its operator must list that: coordinator --announce-to)"
        yield Text(f"  announced by the coordinator that leads to {day.announce}{how}")
    if day.steps:
        yield Text(f"  runbook: {', '.join(day.steps)} (`shakeout done`)")
    if day.hidden:
        yield Text(f"  hidden until revealed or over: {count(day.hidden, 'fault')}, shown in this plan")


def _watched(one: WatchPreview) -> Text:
    """What is looked at beside the traffic of a phase, and what is kept quiet."""
    parts = [f"{word} {', '.join(named)}" for word, named in (("alerts", one.alerts), ("gauges", one.gauges))]
    seen = [part for part, named in zip(parts, (one.alerts, one.gauges), strict=True) if named]
    words = f"  watched: {'; '.join(seen) or 'nothing'}" + (
        f" ({' and '.join(one.sources)})" if one.sources else ""
    )
    quiet = f"\n  silenced meanwhile in Alertmanager: {'; '.join(one.silences)}" if one.silences else ""
    return Text(words + quiet)


def _whose(one: SloPreview) -> str:
    return f"{one.fault} on {one.activity}" if one.fault else one.activity


def _length(preview: Preview) -> str:
    known = seconds(preview.duration_s)
    return known if preview.duration_is_known else f"{known} and what takes as long as it takes"


def _phase(phase: PhasePreview, number: int, console: Console) -> Iterator[Text | Table]:
    words = [f"\n{number}. {phase.name}"]
    if phase.duration_s:
        words.append(f"{seconds(phase.duration_s)} from {seconds(phase.starts_s)}")
    words += [f"requires {', '.join(phase.requires)}"] if phase.requires else []
    words += [f"waits for {phase.waits_for}"] if phase.waits_for else []
    yield _heading(", ".join(words))
    header = ("activity", "kind", "target", "shards", "duration", "requests", "peak")
    yield _table(header, [_activity(one) for one in phase.activities], console)
    for one in phase.activities:
        yield from _remarks(one)
    if phase.rates_per_s:
        spans = [(one.at_s, one.at_s + (one.for_s or 0.0)) for one in phase.faults]
        yield Text(chart(phase.rates_per_s, length_s=phase.duration_s, faults=spans))
    if phase.faults:
        heads = ("fault", "what", "at", "for", "touches", "by", "seen by")
        yield _table(heads, [_fault(one) for one in phase.faults], console)
        for fault in phase.faults:
            yield from (Text(f"  {_called(fault)}: {_now(found)}") for found in fault.now)


def _activity(one: ActivityPreview) -> Row:
    return (
        one.key,
        one.kind,
        one.target or "",
        f"{one.shards:,}",
        seconds(one.duration_s) if one.duration_s else "",
        "" if one.requests is None or one.kind == "telemetry" else _number(
            one.requests, exact=one.requests_exact
        ),
        f"{one.peak_per_s:,.6g}/s" if one.peak_per_s is not None else "",
    )  # fmt: skip


def _workers(one: ActivityPreview) -> str:
    """Who runs how many shards; the first few by name."""
    if not one.workers:
        return "nobody"
    named = [f"{share.worker} × {share.shards:,}" for share in one.workers[:MOST_WORKERS_NAMED]]
    rest = len(one.workers) - len(named)
    return ", ".join(named) + (f" and {rest:,} more" if rest else "")


def _remarks(one: ActivityPreview) -> Iterator[Text]:
    limit = f", at most {one.max_in_flight:,} requests in flight" if one.max_in_flight else ""
    yield Text(f"  {one.key}: run by {_workers(one)}{limit}")
    if one.note:
        yield Text(f"  {one.key}: {one.note}")
    if one.requests_in_warmup:
        early = _number(one.requests_in_warmup, exact=one.requests_exact)
        yield Text(f"  {one.key}: {early} of the requests are warm-up ({seconds(one.warmup_s)}), not judged")
    if one.lost_worker_gap_s:
        cost = f", up to {one.lost_worker_requests:,.0f} requests" if one.lost_worker_requests else ""
        yield Text(
            f"  {one.key}: losing a worker leaves a gap of up to {seconds(one.lost_worker_gap_s)}{cost}"
        )


def _fault(one: FaultPreview) -> Row:
    return (
        _called(one),
        one.fault if one.intensity == 1 else f"{one.fault} at {100 * one.intensity:.3g}%",
        seconds(one.at_s),
        seconds(one.for_s) if one.for_s else "once",
        one.touches,
        f"{', '.join(one.workers)} on {', '.join(one.hosts)}"
        if one.workers
        else f"nobody: needs {one.needs}",
        ", ".join(one.observes),
    )


def _called(one: FaultPreview) -> str:
    return one.key if one.of == 1 else f"{one.key} {one.step}/{one.of}"


def _now(found: Now) -> str:
    """What a host says of a fault that would come now."""
    by = f"{found.worker} on {found.host}" if found.host else found.worker
    if found.refused:
        return f"now {by} could not: {plain(found.refused)}"
    objects = [*found.processes, *found.touched]
    named = ", ".join(plain(one) for one in objects[:MOST_TOUCHED_NAMED]) or "nothing by name"
    rest = len(objects) - MOST_TOUCHED_NAMED
    return f"now {by} would touch {named}" + (f" and {rest} more" if rest > 0 else "")


def _number(value: float, *, exact: bool) -> str:
    return f"{value:,.0f}" if exact else f"about {value:,.0f}"


def _heading(words: str) -> Text:
    return Text(words, style="bold")


def _listed(heading: str, lines: Sequence[str], colour: str) -> Iterator[Text]:
    if lines:
        yield Text(f"\n{heading}", style=f"bold {colour}")
        yield from (Text(f"  {line}") for line in lines)


def _table(
    header: Row, rows: Sequence[Row], console: Console, *, colours: Sequence[str] = ()
) -> Table | Text:
    """A table of Rich's on a terminal; on a pipe one aligned line a row, however long.

    Columns with nothing in them are left out.
    """
    kept = [place for place in range(len(header)) if any(row[place] for row in rows)]
    lines = [tuple(row[place] for place in kept) for row in (header, *rows)]
    if not rows:
        return Text("", end="")
    if not console.is_terminal:
        widths = [max(len(line[place]) for line in lines) for place in range(len(kept))]
        padded = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
        return Text("\n".join(f"  {line}" for line in padded))
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for word in lines[0]:
        table.add_column(word, overflow="fold", no_wrap=word in SHORT)
    for line, colour in zip(lines[1:], colours or [""] * len(rows), strict=True):
        table.add_row(*(Text(cell, style=colour if DECIDES.get("no") in line else "") for cell in line))
    return table
