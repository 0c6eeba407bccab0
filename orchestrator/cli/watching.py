"""What a person sees of a running campaign: live bars on a terminal, plain lines elsewhere."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from types import TracebackType
from typing import Any, Self

from msgspec.structs import replace
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.cli.plain import all_plain, plain
from orchestrator.live.view import LiveActivity, LiveView
from orchestrator.report.journal_words import game_day_words
from workers.contract import facts as f

COLOURS = {
    "pass": "green", "fail": "red", "inconclusive": "yellow", "invalid": "magenta", "aborted": "red",
    "refused": "red",
}  # fmt: skip
HANDED_OVER = "handed over"
"""The word of an engine whose load was passed on, which was told before."""
MOST_SHOWN = 80
"""Characters of a process that a fault touched; the report has all of its command line."""
SO_FAR = {
    "pass": ("✓", "holds so far"),
    "fail": ("✗", "broken so far"),
    "inconclusive": ("·", "open so far: too little data"),
    "invalid": ("-", "not measured so far"),
}


class Screen:
    """Live bars where stdout is a terminal; else one line for each thing that happens.

    With `json_` only the result. `called`: a campaign's id, and how commands from anywhere reach it instead.
    """

    def __init__(self, *, json_: bool, called: tuple[str, str] | None = None) -> None:
        self.json_ = json_
        self.called = called
        self.console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
        self.live: Live | None = None
        self.stopping = False

    def __enter__(self) -> Self:
        if self.console.is_terminal and not self.json_:
            self.live = Live(console=self.console, refresh_per_second=4, transient=True)
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live is not None:
            self.live.stop()
            self.live = None

    def say(self, line: str) -> None:
        """One line for the person."""
        if not self.json_:
            self.console.print(Text(plain(line)))

    def warn(self, line: str) -> None:
        """One line on stderr: what the person must know, also where only a script reads stdout."""
        print(f"shakeout: {plain(line)}", file=sys.stderr)

    def show(self, view: LiveView) -> None:
        """The live picture, where there is a terminal for it."""
        if self.live is not None:
            self.live.update(picture(replace(view, waits=tuple(map(self._reachable, view.waits)))))

    def wait_for(self, waits: tuple[str, ...]) -> None:
        """What shards wait for, a line each, where no live picture has it."""
        if self.live is None:
            for one in waits:
                self.say(_waiting(self._reachable(one)))

    def _reachable(self, words: str) -> str:
        """What is waited for, with commands that work from wherever they are typed."""
        if self.called is None:
            return words
        id_, place = self.called
        return words.replace(f" {id_} ", f" {place} ")

    def _is_expected(self, why: str) -> bool:
        """Whether the end of an attempt was told before: everything stops, or its load was passed on."""
        return self.stopping or why == HANDED_OVER

    def tell(self, fact: f.Fact) -> None:
        """A line for each fact that a person waits for."""
        match fact:
            case f.PhaseStarted():
                self.say(f"phase {fact.phase}: started")
            case f.FaultsWithheld():
                self.say(f"phase {fact.phase}: its faults are withheld: {fact.why}")
            case f.PhaseSkipped():
                self.say(f"phase {fact.phase}: skipped, {fact.why}")
            case f.PhaseEnded():
                self.say(
                    f"phase {fact.phase}: {fact.verdict}" + "".join(f"\n  {why}" for why in fact.reasons)
                )
            case f.FaultSeen() if fact.what != "verified" or fact.took_effect is False:
                touched = "".join(f" {shorten(one, MOST_SHOWN)}" for one in (*fact.processes, *fact.touched))
                which = f", step {fact.step + 1} ({fact.fault})" if fact.step else ""
                self.say(
                    f"fault {fact.attempt.rsplit(':', 2)[0]}{which}: {fact.what}{touched}"
                    + (f" ({fact.why})" if fact.why else "")
                )
            case f.AlertSeen() if fact.state in ("firing", "resolved", "absent"):
                said = "there is no such rule" if fact.state == "absent" else fact.state
                self.say(f"alert {fact.alert}: {said} ({fact.source})")
            case f.Silenced():
                about = fact.matchers or "of a former attempt"
                self.say(f"silence {about}: {fact.what}" + (f", {fact.why}" if fact.why else ""))
            case f.Draining():
                self.say(
                    f"{fact.attempt}: its worker drains"
                    + (f", {fact.why}" if fact.why else "")
                    + "; it goes on until a successor is ready"
                )
            case f.Yielded():
                self.say(f"{fact.attempt}: hands over at {fact.until_s:.1f} s of the phase")
            case f.Resumed():
                self.say(f"{fact.attempt}: takes over from {fact.from_s:.1f} s of the phase on")
            case f.Lost():
                self.say(f"{fact.attempt}: lost, {fact.why}")
            case f.Exited() if fact.outcome != "done" and not self._is_expected(fact.why):
                self.say(f"{fact.attempt}: {fact.outcome}, {fact.why}")
            case f.NotReady():
                self.say(f"{fact.attempt}: waiting, {fact.why}")
            case f.Aborting():
                self.stopping = True
                self.say(f"stopping: {fact.why}")
            case f.AbortAsked():
                self.say(f"abort asked for by {fact.by}" + (f": {fact.why}" if fact.why else ""))
            case f.Noted():
                self.say(f"note by {fact.by}: {fact.text}")
            case f.Refused():
                self.say(f"refused: {fact.what} of {fact.by}: {fact.why}")
            case f.TaskRefused():
                self.say(f"{fact.attempt}: worker {fact.worker} refused a task: {fact.why}")
            case f.GateReached():
                pass  # the picture says it for as long as it lasts
            case _:
                told = game_day_words(fact)
                if told is not None:
                    self.say(told[1])


def picture(view: LiveView) -> Group:
    """The live view as a table with bars."""
    view = all_plain(view)  # anybody who reaches Redis may have written it
    clock = f"{max(0.0, view.elapsed_s):.0f} s" if view.phase else ""
    place = (view.phase or "ending", f" ({view.phase_number} of {view.phases}) {clock}")
    word, number = place
    if view.waits and not view.phase:
        word, number = ("at the next one's gate" if view.phase_number else "not begun", "")
    title = Text.assemble(("shakeout ", "bold"), view.campaign, "  phase ", (word, "bold"), number)
    table = Table(box=None, padding=(0, 1), show_edge=False)
    for column, side in (
        ("activity", "left"), ("", "left"), ("state", "left"), ("rate", "right"),
        ("p50", "right"), ("p99", "right"), ("ok", "right"), ("failed", "right"), ("", "left"),
    ):  # fmt: skip
        table.add_column(column, justify=side)  # type: ignore[arg-type]  # a literal of Rich's
    for one in view.activities:
        table.add_row(*_row(one))
    slos = Table(box=None, padding=(0, 1), show_edge=False, show_header=False)
    for one in view.activities:
        for slo in one.slos:
            mark, words = SO_FAR[slo.verdict]
            colour = COLOURS[slo.verdict]
            slos.add_row(Text(mark, style=colour), one.key, slo.slo, Text(words, style=colour), slo.seen)
    verdicts = Text("  ").join(
        Text.assemble(f"{phase} ", (verdict, COLOURS.get(verdict, "")))
        for phase, verdict in view.verdicts.items()
    )
    tables = [one for one in (table, slos) if one.row_count]
    lines: list[Any] = [title, *tables, verdicts]
    for wait in view.waits:
        words, mark, command = _waiting(wait).rpartition(": `")
        lines.append(Text(words + mark[:1] if mark else command, style="yellow"))
        if mark:  # on a line of its own, whole where the terminal has room
            lines.append(Text(f"  {command.removesuffix('`')}", style="yellow", overflow="fold"))
    if view.aborting:
        lines.append(Text(f"stopping: {view.aborting}", style="red"))
    return Group(*lines)


def _waiting(words: str) -> str:
    """What is waited for, as a line; the words of the queue say by themselves that they are of a wait."""
    return words if words.startswith("waits ") else f"waiting: {words}"


def _row(one: LiveActivity) -> tuple[Any, ...]:
    if one.kind == "chaos":
        return (one.key, "", one.state, "", "", "", "", "", one.note)
    bar = ProgressBar(total=1.0, completed=one.share, width=24)
    failed = Text(f"{one.failed:,}", style="red" if one.failed else "")
    return (
        one.key, bar, one.state, f"{one.rate_per_s:,.0f}/s", _ms(one.p50_s), _ms(one.p99_s),
        f"{one.ok:,}", failed, one.note,
    )  # fmt: skip


def _ms(value_s: float | None) -> str:
    if value_s is None:
        return "-"
    return f"{value_s * 1e3:.1f} ms" if value_s < 1 else f"{value_s:.2f} s"


@dataclass(frozen=True, slots=True)
class Result:
    """What is told of an ended campaign.

    `folder`: where its report is on this machine; None where it is not here: `elsewhere` says where.
    """

    campaign: str
    ended: f.Ended
    folder: Path | None
    elsewhere: str = ""


def show_result(screen: Screen, result: Result, *, indent: int | None = 2) -> None:
    """The verdict, its reasons and where the report is; as JSON with `indent` (None: one line)."""
    ended, folder = result.ended, result.folder
    if screen.json_:
        told: dict[str, Any] = {
            "campaign": result.campaign,
            "verdict": ended.verdict,
            "reasons": list(ended.reasons),
            "report": str(folder / "report.json") if folder is not None else None,
        }
        print(json.dumps(told, indent=indent), flush=True)
        return
    screen.console.print(
        Text.assemble("verdict: ", (plain(ended.verdict), f"bold {COLOURS.get(ended.verdict, '')}".strip()))
    )
    for reason in ended.reasons:
        screen.say(f"  {reason}")
    if folder is None:
        screen.say(result.elsewhere)
        return
    page = folder / "report.html"
    screen.say(f"report: {page}" if page.exists() else f"no report could be written to {folder}")
