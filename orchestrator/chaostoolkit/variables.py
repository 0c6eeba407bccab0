"""`configuration` and `secrets` of an experiment: what its `${NAME}`s stand for here. Pure.

A value of the environment becomes a reference that the worker resolves, `${env:NAME}`; so does each secret,
which thereby stands in no file.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_USE: Final = re.compile(r"\$\{([^{}$:]+)\}")
_REFERENCE: Final = re.compile(r"\$\{(?:env|file):[A-Za-z_][A-Za-z0-9_]*\}")
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True)
class Variables:
    """What is known, by name.

    `secret`: names of secrets that stood in the file itself, or in a vault, with the variable or file that
    holds them from now on. `later`: names of values that an experiment finds while it runs.
    """

    values: Mapping[str, object]
    secret: Mapping[str, str]
    later: tuple[str, ...] = ()

    def fill(self, value: object) -> object:
        """The value with every `${NAME}` that is known replaced; one that is a whole text keeps its type."""
        if isinstance(value, dict):
            return {str(self.fill(key)): self.fill(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.fill(one) for one in value]
        if not isinstance(value, str):
            return value
        whole = _USE.fullmatch(value)
        if whole and whole[1].strip() in self.values:
            return self.values[whole[1].strip()]
        return _USE.sub(self._one, value)

    def _one(self, match: re.Match[str]) -> str:
        known = self.values.get(match[1].strip())
        return match[0] if known is None else str(known)


def variables_of(
    configuration: Mapping[str, object], secrets: Mapping[str, object], given: Mapping[str, str]
) -> Variables:
    """All variables; those given by hand first, then the configuration's, then the secrets'."""
    values: dict[str, object] = {}
    moved: dict[str, str] = {}
    for group in secrets.values():
        for name, value in group.items() if isinstance(group, dict) else ():
            reference = _secret(name, value)
            values[name] = reference
            if not _from_environment(value):
                moved[name] = reference
    later: list[str] = []
    for name, value in configuration.items():
        found = _configured(value)
        if found is not None:
            values[name] = found
        elif name not in given:
            later.append(name)
    return Variables({**values, **given}, moved, tuple(later))


def unresolved(text: str) -> str:
    """What in a text stands for something that is known only later, or not at all; empty: nothing."""
    found = _REFERENCE.search(text) or _USE.search(text)
    return found[0] if found else ""


def unknown(text: str) -> str:
    """What in a text stands for something that is not known at all."""
    found = _USE.search(text)
    return found[0] if found else ""


def _secret(name: str, value: object) -> str:
    """Where the secret is from now on."""
    if isinstance(value, dict) and value.get("type") == "env" and isinstance(value.get("key"), str):
        return f"${{env:{_name(str(value['key']))}}}"
    if isinstance(value, dict) and value.get("type") == "vault":
        return f"${{file:{_name(name)}}}"
    return f"${{env:{_name(name).upper()}}}"


def _configured(value: object) -> object:
    """The value; of the environment's its default, else a reference; None where a probe is to find it."""
    if not isinstance(value, dict) or "type" not in value:
        return value
    if value["type"] != "env" or not isinstance(value.get("key"), str):
        return None
    default = value.get("default")
    return f"${{env:{_name(str(value['key']))}}}" if default is None else default


def _from_environment(value: object) -> bool:
    return isinstance(value, dict) and value.get("type") == "env"


def _name(text: str) -> str:
    name = _NO_NAME.sub("_", text)
    return name if name[:1].isalpha() or name[:1] == "_" else f"_{name}"
