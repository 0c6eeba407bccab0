"""Commands that an operator has listed: found in the worker's folders, run with a bare environment."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from workers.chaos import commands, references
from workers.chaos.contract import Scene
from workers.contract.errors import FaultError

KEY: Final = "$SHAKEOUT_FAULT"
"""In arguments, bodies and paths: what names this one fault on this host, for its platform to know it by."""
LONGEST_S: Final = 60.0
"""Of one command, or call: a revert that may take longer is none."""
FAULT_VARIABLE: Final = "SHAKEOUT_FAULT"


def run(
    argv: Sequence[str], scene: Scene, *, within_s: float, environment: Mapping[str, str]
) -> commands.Ran:
    """Run a listed command to its end, or ours. Raises FaultError where it is not listed, or cannot start."""
    whole = found(argv, scene)
    ran = commands.run_leashed(whole, within_s=within_s, environment=environment_of(environment, scene))
    output = references.mask(ran.output, dict(environment), scene.rules.secrets)
    return commands.Ran(ran.code, output)


def found(argv: Sequence[str], scene: Scene) -> list[str]:
    """The command with its program's whole path. Raises FaultError, which says what to do."""
    name, folders = argv[0], scene.rules.user_code
    who = f"worker {scene.rules.worker}".strip()
    if not folders:
        raise FaultError(
            f"{who} runs no commands of users: start it with --user-code DIR (or SHAKEOUT_USER_CODE), "
            f"with {name} in DIR"
        )
    listed = ", ".join(folders)
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise FaultError(f"{who} refuses command {name}: say its name inside {listed}")
    for folder in folders:
        file = (Path(folder) / name).resolve()
        if file.is_relative_to(Path(folder).resolve()) and file.is_file():
            if not os.access(file, os.X_OK):
                raise FaultError(f"{file} may not be run: chmod +x it")
            return [str(file), *(word.replace(KEY, scene.key) for word in argv[1:])]
    raise FaultError(f"{who} has no command {name} in {listed}: copy it there, or list its folder")


def environment_of(environment: Mapping[str, str], scene: Scene) -> dict[str, str]:
    """All that a command sees: a plain PATH, the fault's key, and what the campaign gives it, secrets too."""
    given = {name: references.fill(text, scene.rules.secrets) for name, text in environment.items()}
    return {**commands.BARE, FAULT_VARIABLE: scene.key, **given}


def refuse_secrets(argv: Sequence[str], *, option: str) -> None:
    """Everybody on a host can read a command line. Raises FaultError."""
    if any("${env:" in word or "${file:" in word for word in argv):
        raise FaultError(f"{option}: no secret may stand in a command line; give it by `env`")
