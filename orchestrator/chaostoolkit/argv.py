"""The words of a command, as a shell would split them, without what only stands in front of it. Pure."""

import re
import shlex
from collections.abc import Sequence
from typing import Final

from orchestrator.chaostoolkit.experiment import Command

_SHELL: Final = re.compile(r"[|&;<>`$()*?]")
_PIDFILE: Final = re.compile(r"(?:\$\(|`)\s*cat\s+([^\s)`]+)\s*[)`]")
_ASSIGNED: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)
_SHELLS: Final = ("sh", "bash", "dash", "zsh", "ksh")
_IN_FRONT: Final = {
    "sudo": ("-u", "-g", "-h", "-p", "-C"),
    "env": ("-u", "-C"),
    "nice": ("-n",),
    "ionice": ("-c", "-n"),
    "timeout": ("-s", "-k"),
    "nohup": (),
    "exec": (),
}
"""Programs that run the command behind them, with their options that take a word."""


def argv_of(command: Command) -> list[str] | None:
    """Its words; None where only a shell can tell.

    `$(cat FILE)` is the word PIDFILE=FILE. Of `sh -c TEXT` the words are those of the text, of `sh FILE` the
    file and what follows.
    """
    words: list[str] | None = [command.program, *command.words]
    if command.shell:
        split = _split(command.shell)
        words = None if split is None else [command.program, *split]
    while words and len(words) > 1:
        if name_of(words[0]) in _SHELLS:
            words = _of_shell(words[1:])
        elif name_of(words[0]) in _IN_FRONT:
            words = _behind(words)
        else:
            break
    return words or None


def flags_of(words: Sequence[str], *, with_value: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Flags with their values, and the other words."""
    flags: dict[str, str] = {}
    rest: list[str] = []
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        name, equals, value = word.partition("=")
        if name in with_value and not equals:
            flags[name] = waiting.pop(0) if waiting else ""
        elif word.startswith("-") and len(word) > 1:
            flags[name] = value
        else:
            rest.append(word)
    return flags, rest


def name_of(program: str) -> str:
    """A program without its folder."""
    return program.rpartition("/")[2]


def _split(text: str) -> list[str] | None:
    if _SHELL.search(_PIDFILE.sub("PIDFILE", text)):
        return None
    try:
        return shlex.split(_PIDFILE.sub(lambda match: f"PIDFILE={match[1]}", text))
    except ValueError:
        return None


def _of_shell(words: Sequence[str]) -> list[str] | None:
    """What a shell with these words would run."""
    first, *rest = words
    if not first.startswith("-"):
        return list(words)
    return _split(rest[0]) if "c" in first and not first.startswith("--") and rest else None


def _behind(words: Sequence[str]) -> list[str]:
    """The command behind one of those that stand in front."""
    name, waiting = name_of(words[0]), list(words[1:])
    while waiting and (waiting[0].startswith("-") or (name == "env" and _ASSIGNED.fullmatch(waiting[0]))):
        if waiting.pop(0) in _IN_FRONT[name] and waiting:
            waiting.pop(0)
    return waiting[1:] if name == "timeout" else waiting
