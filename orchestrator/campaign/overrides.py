"""`--set PATH=VALUE`: values replaced before anything is checked."""

from collections.abc import Sequence
from typing import Any, Final

from orchestrator.campaign.findings import Finding, dotted, undotted
from orchestrator.campaign.yaml_reader import Path, YamlError, plain, read, resolve

# Of these keys of a target there is one: to set the one takes the other away.
_EITHER: Final = {"url": "demo", "demo": "url"}


def apply(document: object, sets: Sequence[str]) -> tuple[tuple[Path, ...], tuple[Finding, ...]]:
    """Replace in `document`, in order; return the paths that were set and what could not be.

    A missing key is added, with the mappings on the way to it; an item of a list must exist. VALUE is YAML
    as a plain value, or `[...]`, `{...}`, or in quotes. Nothing, `null` or `~` takes the key away. A target's
    `url` takes the place of its `demo`, and the other way round.
    """
    done: list[Path] = []
    findings: list[Finding] = []
    for typed in sets:
        one = typed.encode(errors="replace").decode()  # bytes of an argument that are no UTF-8
        if one != typed:
            findings.append(Finding((), f"--set {one}: holds bytes that are no UTF-8"))
            continue
        text, equals, value = one.partition("=")
        if not equals:
            hint = "say PATH=VALUE, e.g. targets.chat.url=http://127.0.0.1:8000"
            findings.append(Finding((), f"--set {one}: has no =", hint))
            continue
        try:
            done.append(_put(document, undotted(text.strip()), _value(value.strip())))
        except (ValueError, YamlError) as error:
            findings.append(Finding((), f"--set {one}: {error}"))
    return tuple(done), tuple(findings)


def _value(text: str) -> object:
    if text.startswith(("[", "{", '"', "'")):
        return plain(read(text))
    return resolve(text)


def _put(document: Any, path: Path, value: object) -> Path:
    """Set it; the path of the outermost value that was made for it, else `path` itself."""
    at = document
    made = path
    for index, step in enumerate(path[:-1]):
        if isinstance(step, str) and isinstance(at, dict) and at.get(step) is None:
            if not isinstance(path[index + 1], str):
                whole = dotted(path[: index + 1])
                raise ValueError(f"{whole} is not there, so it has no items; set it whole: {whole}=[...]")
            at[step] = {}
            made = min(made, path[: index + 1], key=len)
        at = _below(at, path[: index + 1])
    last = path[-1]
    if not (isinstance(last, str) and isinstance(at, dict)):
        _below(at, path)
        at[last] = value
        return made
    at[last] = value
    if value is None:
        del at[last]
    elif path[:1] == ("targets",) and len(path) == 3 and last in _EITHER:
        at.pop(_EITHER[last], None)
    return made


def _below(at: Any, path: Path) -> Any:
    """What stands at the last step of `path`, seen from `at`. Raises ValueError where nothing can."""
    step, whole = path[-1], dotted(path[:-1])
    if isinstance(step, str):
        if isinstance(at, dict):
            return at[step]
        what = f"a list: say {whole}[0]" if isinstance(at, list) else f"{at!r}, no mapping"
        raise ValueError(f"{whole} is {what}")
    if not isinstance(at, list):
        raise ValueError(f"{whole} is no list")  # noqa: TRY004  # the path is wrong, not a type
    if step >= len(at):
        raise ValueError(f"[{step}] is beyond the list, which has {len(at)}")
    return at[step]
