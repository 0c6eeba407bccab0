"""`--set PATH=VALUE`: values replaced before anything is checked."""

from collections.abc import Sequence
from itertools import pairwise

from orchestrator.campaign.findings import Finding, undotted
from orchestrator.campaign.yaml_reader import Path, YamlError, plain, read, resolve


def apply(document: object, sets: Sequence[str]) -> tuple[tuple[Path, ...], tuple[Finding, ...]]:
    """Replace in `document`, in order; return the paths that were set and what could not be.

    A missing key is added, with the mappings on the way to it; an item of a list must exist. VALUE is YAML.
    """
    done: list[Path] = []
    findings: list[Finding] = []
    for one in sets:
        text, equals, value = one.partition("=")
        if not equals:
            hint = "say PATH=VALUE, e.g. targets.chat.url=http://127.0.0.1:8000"
            findings.append(Finding((), f"--set {one}: has no =", hint))
            continue
        try:
            path = undotted(text)
            _put(document, path, _value(value))
            done.append(path)
        except (ValueError, YamlError) as error:
            findings.append(Finding((), f"--set {one}: {error}"))
    return tuple(done), tuple(findings)


def _value(text: str) -> object:
    if text.startswith(("[", "{", '"', "'")):
        return plain(read(text))
    return resolve(text)


def _put(document: object, path: Path, value: object) -> None:
    at: object = document
    for step, after in pairwise(path):
        if isinstance(at, dict) and isinstance(step, str):
            at = at.setdefault(step, {}) if isinstance(after, str) else at.get(step)
        else:
            at = _items(at, step)[int(step)]
    last = path[-1]
    if isinstance(at, dict) and isinstance(last, str):
        at[last] = value
        return
    items = _items(at, last)
    items[int(last)] = value


def _items(at: object, step: str | int) -> list[object]:
    """The list that has an item `step`. Raises ValueError where it is none, or too short."""
    known = len(at) if isinstance(at, list) and isinstance(step, int) else None
    if not isinstance(at, list) or known is None:
        raise ValueError(f"{step!r} has no place there")  # the path is wrong, not a type
    if int(step) >= known:
        raise ValueError(f"[{step}] is beyond the list, which has {known}")
    return at
