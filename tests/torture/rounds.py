"""Campaigns one after another, each submitted and followed as a person would: `shakeout submit --wait`."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from tests.torture.parts import VICTIM, Fleet

Kind = Literal["load", "soak", "regression", "chaos", "users"]
KINDS: Final[tuple[Kind, ...]] = ("load", "soak", "regression", "chaos", "users")
CASES = 60
HANGS_AFTER_S = 240.0
"""A campaign lasts 15 s, may wait 40 s for places and 20 s for numbers; three times that is a hang."""
EXIT_LOST = 6
HEAD = """\
campaign: {name}
seed: {seed}
on_lost_coordinator: 5s
place_within: 40s
validity: {{lag_p99: 2s, start_skew: 10s}}
targets:
  chat: {{protocol: openai-chat, model: demo, url: "{url}", timeout: 2s}}
phases:
  - name: only
    activities:
"""
OFFER = """\
      - name: {name}
        kind: {kind}
        target: chat
        shards: {shards}
        arrivals: {{process: poisson, rate: {rate}}}
        duration: {duration}
        data: {{synthetic: {{input_tokens: 4, output_tokens: 2}}}}
        slos: ["success_rate >= 50%"]
"""
USERS = """\
      - name: {name}
        kind: load
        target: chat
        shards: 3
        arrivals: {{process: closed, users: 6, think: 40ms}}
        duration: 12s
        data: {{synthetic: {{input_tokens: 4, output_tokens: 2}}}}
        slos: ["success_rate >= 50%"]
"""
GOLDEN = """\
      - name: {name}
        kind: regression
        target: chat
        golden: cases.jsonl
        batches: 3
        concurrency: 2
        slos: ["pass_rate >= 100%"]
"""
FAULT = """\
      - name: hang
        kind: chaos
        fault: pause-process
        at: 2s
        for: 5s
        match: {{cmdline: {victim}}}
        where: {{at_most: 1}}
"""
BODY: Final[dict[Kind, str]] = {
    "load": OFFER, "soak": OFFER, "regression": GOLDEN, "chaos": OFFER + FAULT, "users": USERS
}  # fmt: skip
KEYS: Final[dict[Kind, dict[str, object]]] = {
    "load": {"kind": "load", "shards": 4, "rate": "60/s", "duration": "10s"},
    "soak": {"kind": "soak", "shards": 3, "rate": "40/s", "duration": "15s"},
    "regression": {},
    "users": {},
    "chaos": {"kind": "load", "shards": 2, "rate": "30/s", "duration": "10s", "victim": VICTIM},
}


@dataclass(frozen=True, slots=True)
class Round:
    """One campaign that is over: what the command said, and where everything of it stands."""

    number: int
    kind: Kind
    name: str
    id: str
    code: int
    text: Path
    out: Path
    lasted_s: float


@dataclass(slots=True)
class Rounds:
    """One command after another.

    `over`: what has ended; `hung`: a campaign that did not, in words. `refused`: commands that found no Redis
    and said so; nothing was submitted.
    """

    fleet: Fleet
    seed: int
    over: list[Round] = field(default_factory=list)
    hung: str = ""
    refused: int = 0
    _command: "subprocess.Popen[bytes] | None" = None
    _began_s: float = 0.0
    _number: int = 0

    @property
    def running(self) -> bool:
        return self._command is not None

    def begin(self, kind: Kind | None = None) -> None:
        """Submit the next campaign, or one of this kind."""
        self._number += 1
        kind = kind or KINDS[(self.seed + self._number) % len(KINDS)]  # few of them fit into a short torture
        text = self._text(kind)
        out = self.fleet.folder / "out" / text.stem
        argv = [sys.executable, "-m", "orchestrator", "submit", str(text), "--wait", "--out", str(out)]
        with text.with_suffix(".said").open("wb") as said, text.with_suffix(".warned").open("wb") as warned:
            self._command = subprocess.Popen(
                argv, stdout=said, stderr=warned, stdin=subprocess.DEVNULL, env=self.fleet.environment(),
                cwd=self.fleet.folder,
            )  # fmt: skip
        self._began_s = time.monotonic()

    def step(self) -> Round | None:
        """Look at the command; the campaign that has ended since the last look."""
        if self._command is None:
            return None
        lasted_s = time.monotonic() - self._began_s
        text = self._path()
        if self._command.poll() is None:
            if lasted_s > HANGS_AFTER_S and not self.hung:
                self.hung = f"campaign {text.stem} has not ended within {HANGS_AFTER_S:g} s"
                self._command.send_signal(signal.SIGKILL)
            return None
        code, self._command = self._command.returncode, None
        said = text.with_suffix(".said").read_text().split()
        if not said and code == EXIT_LOST:
            self.refused += 1
            return None
        kind, name = text.with_suffix(".kind").read_text().split()
        ended = Round(
            self._number, kind, name, said[0] if said else "", code, text,  # type: ignore[arg-type]
            self.fleet.folder / "out" / text.stem, lasted_s,
        )  # fmt: skip
        self.over.append(ended)
        return ended

    def _text(self, kind: Kind) -> Path:
        """The campaign's file, and its golden cases beside it."""
        path = self._path()
        name = f"{kind}-{self._number}"
        keys = {"name": name, "seed": self.seed + self._number, "url": self.fleet.url} | KEYS[kind]
        path.write_text((HEAD + BODY[kind]).format(**keys))
        path.with_suffix(".kind").write_text(f"{kind} {name}")
        if kind == "regression":
            (path.parent / "cases.jsonl").write_text("".join(_case(row) for row in range(CASES)))
        return path

    def _path(self) -> Path:
        return self.fleet.folder / "texts" / f"{self._number:03d}.yaml"


def _case(row: int) -> str:
    request = {"messages": [{"role": "user", "content": f"case {row}"}], "max_tokens": 240}
    return json.dumps({"id": str(row), "request": request, "expected": {"finish_reason": "length"}}) + "\n"
