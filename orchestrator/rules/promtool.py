"""promtool as the judge of a rule file: it evaluates the rules on our series, we read what its ALERTS say."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from orchestrator.errors import ShakeoutError
from orchestrator.rules.series import Recorded, Series

WITHIN_S: Final = 300.0
"""A night at one evaluation in 15 s takes some seconds."""
MOST_LOOKS: Final = 20_000
PACKAGE: Final = "Debian has it in the package prometheus, others in Prometheus's release archive"
_INTERVAL: Final = re.compile(r"\binterval[\"']?\s*:\s*[\"']?(?P<value>(?:\d+(?:ms|[smhdwy]))+)")
_LOOK: Final = re.compile(r'^\s*expr: "ALERTS", time: (?P<time>[0-9a-z.]+),')
_GOT: Final = re.compile(r"^\s*got: (?P<samples>.*)$")
_SAMPLE: Final = re.compile(r"\{(?P<labels>(?:[A-Za-z_]\w*=\"(?:[^\"\\]|\\.)*\"(?:, )?)*)\}")
_LABEL: Final = re.compile(r"(?P<name>[A-Za-z_]\w*)=(?P<value>\"(?:[^\"\\]|\\.)*\")")
_UNITS_S: Final = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
    "y": 31536000.0,
}


class PromtoolError(ShakeoutError):
    """promtool is not there, or the rule file is not one; says what to do."""


@dataclass(frozen=True, slots=True)
class Spell:
    """One series of an alert from second `from_s` of the run to `to_s` (None: its end).

    `fired_s`: when it fired; None: it was pending all the time.
    """

    alert: str
    labels: tuple[tuple[str, str], ...]
    from_s: float
    fired_s: float | None
    to_s: float | None


def check(rules: Path) -> None:
    """Raise PromtoolError where promtool is missing or does not take the rule file."""
    done = _run("check", "rules", str(rules))
    if done.returncode:
        raise PromtoolError(f"{rules}: {_complaint(done, rules)}")


def replay(
    rules: Path, series: Recorded, *, scrape_every_s: float, evaluate_every_s: float
) -> tuple[Spell, ...]:
    """When each alert of the rule file would have been pending and firing. Raises PromtoolError."""
    every_s = look_every_s(rules.read_text("utf-8"), evaluate_every_s)
    looks = round(series.seconds / every_s) + 1
    if looks > MOST_LOOKS:
        raise PromtoolError(
            f"{looks:,} evaluations are more than {MOST_LOOKS:,}: say a longer interval between them"
        )
    with TemporaryDirectory(prefix="shakeout-rules-") as folder:
        own = Path(folder) / "replay.json"
        test = _test(series, rules, scrape_every_s=scrape_every_s, evaluate_every_s=every_s)
        own.write_text(json.dumps(test), encoding="utf-8")
        done = _run("test", "rules", str(own))
    seen = list(_seen(f"{done.stdout}\n{done.stderr}"))
    if done.returncode and not seen:
        raise PromtoolError(f"{rules}: {_complaint(done, rules)}")
    return spells(seen, every_s=every_s, until_s=(looks - 1) * every_s)


def look_every_s(rules: str, evaluate_every_s: float) -> float:
    """The shortest interval of the file's groups: promtool evaluates all of them at one and the same."""
    own = [_seconds(match["value"]) for match in _INTERVAL.finditer(rules)]
    return min([evaluate_every_s, *(every_s for every_s in own if every_s > 0)])


def _test(
    recorded: Recorded, rules: Path, *, scrape_every_s: float, evaluate_every_s: float
) -> dict[str, Any]:
    """A test of promtool's that expects no alert at any evaluation: it tells of each that there is."""
    times = [step * evaluate_every_s for step in range(round(recorded.seconds / evaluate_every_s) + 1)]
    inputs = [
        {"series": _named(one), "values": _values(one, recorded.seconds, scrape_every_s)}
        for one in recorded.series
    ]
    return {
        "rule_files": [str(rules.absolute())],
        "evaluation_interval": _promtime(evaluate_every_s),
        "tests": [
            {
                "interval": _promtime(scrape_every_s),
                "input_series": inputs,
                "promql_expr_test": [
                    {"expr": "ALERTS", "eval_time": _promtime(at_s), "exp_samples": []} for at_s in times
                ],
            }
        ],
    }


def _named(series: Series) -> str:
    labels = ",".join(f"{name}={json.dumps(value)}" for name, value in series.labels)
    return f"{series.name}{{{labels}}}"


def _values(series: Series, seconds: int, every_s: float) -> str:
    """What scrapes would have seen: a counter stands between changes, a gauge that was not read is a gap."""
    values: list[str] = []
    last: float | None = None
    second = 0
    for step in range(int(seconds / every_s) + 1):
        while second <= step * every_s:
            last = series.by_second.get(second, last if series.counter else None)
            second += 1
        values.append("_" if last is None else repr(round(last, 6)))
    return " ".join(values)


def _promtime(at_s: float) -> str:
    return f"{round(at_s * 1000)}ms" if at_s else "0s"


def _run(*words: str) -> "subprocess.CompletedProcess[str]":
    program = shutil.which("promtool")
    if program is None:
        raise PromtoolError(f"promtool is not installed here, and it evaluates the rules: {PACKAGE}")
    try:
        return subprocess.run(
            [program, *words], capture_output=True, text=True, timeout=WITHIN_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise PromtoolError(f"promtool took longer than {WITHIN_S:g} s: say longer intervals") from error


def _complaint(done: "subprocess.CompletedProcess[str]", rules: Path) -> str:
    lines = (line.strip() for line in f"{done.stdout}\n{done.stderr}".splitlines())
    skip = ("Checking ", "Unit Testing:", "FAILED:", "SUCCESS")
    said = [line.removeprefix(f"{rules}: ") for line in lines if line and not line.startswith(skip)]
    return "; ".join(said[:3]) or f"promtool ended with {done.returncode}"


Look = tuple[float, str, tuple[tuple[str, str], ...], str]
"""(second, alert, labels, state) as promtool saw it at one evaluation."""


def _seen(output: str) -> Iterator[Look]:
    at_s: float | None = None
    for line in output.splitlines():
        look, got = _LOOK.match(line), _GOT.match(line)
        if look is not None:
            at_s = _seconds(look["time"])
        elif got is not None and at_s is not None:
            for sample in _SAMPLE.finditer(got["samples"]):
                labels = {one["name"]: json.loads(one["value"]) for one in _LABEL.finditer(sample["labels"])}
                alert, state = labels.pop("alertname", ""), labels.pop("alertstate", "")
                labels.pop("__name__", None)
                yield at_s, alert, tuple(sorted(labels.items())), state
            at_s = None


def _seconds(text: str) -> float:
    parts = re.findall(r"([0-9.]+)(ms|[smhdwy])", text)
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def spells(seen: Sequence[Look], *, every_s: float, until_s: float) -> tuple[Spell, ...]:
    """Evaluations in a row at which an alert's series was there, as one spell each, by their beginning.

    `until_s`: the last evaluation; what is there at it has no end.
    """
    found: list[Spell] = []
    for key in dict.fromkeys((alert, labels) for _, alert, labels, _ in seen):
        mine = sorted((at_s, state) for at_s, alert, labels, state in seen if (alert, labels) == key)
        rows: list[list[tuple[float, str]]] = []
        for at_s, state in mine:
            if rows and at_s - rows[-1][-1][0] <= every_s * 1.5:
                rows[-1].append((at_s, state))
            else:
                rows.append([(at_s, state)])
        for row in rows:
            fired_s = next((at_s for at_s, state in row if state == "firing"), None)
            ends_s = None if row[-1][0] >= until_s else row[-1][0] + every_s
            found.append(Spell(*key, from_s=row[0][0], fired_s=fired_s, to_s=ends_s))
    return tuple(sorted(found, key=lambda one: (one.from_s, one.alert)))
