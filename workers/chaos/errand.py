"""Commands that bring a fault about, run by a process of our own: `python -m workers.chaos.errand`.

Were they the agent's own children, one that is under way when the agent is killed would come to its end after
the guardian has reverted. These run in the session of a process that stands in the ledger, so that a revert
ends them first: nothing of them can come to pass any more.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from workers.chaos import commands, own
from workers.chaos.contract import Scene
from workers.chaos.lifeline import stand_by, told
from workers.chaos.processes import boot_s
from workers.chaos.references import MASK
from workers.contract.errors import FaultError

_STEPS: Final = "steps.json"
_ENDED: Final = "ended.json"
_ENDS_WITHIN_S: Final = 1.0  # a kill takes a millisecond
_LOOKS_EVERY_S: Final = 0.002


class Step(msgspec.Struct, frozen=True):
    """One command, and what it reads as its standard input."""

    argv: tuple[str, ...]
    told: str = ""


class Ended(msgspec.Struct, frozen=True):
    """How the last command that was run ended. `code`: as commands.Ran; `words`: for people.

    `number`: of the commands, from 1.
    """

    number: int
    code: int | None
    words: str


class _Letter(msgspec.Struct, frozen=True):
    """Where it works, with what around it, and what of it nobody may see."""

    folder: str
    environment: dict[str, str]
    secrets: tuple[str, ...]


def start(
    scene: Scene, *, environment: dict[str, str] | None = None, secrets: tuple[str, ...] = ()
) -> own.Own:
    """Start the process, which waits; for `prepare`. `secrets`: what of the commands' output is masked.

    Raises FaultError.
    """
    letter = _Letter(scene.folder, environment or dict(commands.BARE), secrets)
    return own.start("workers.chaos.errand", [], scene=scene, told=msgspec.json.encode(letter))


def send(scene: Scene, steps: Sequence[Step]) -> None:
    """Say what is to be run, one after another until one fails; for `inject`: it is told to go after that."""
    (Path(scene.folder) / _STEPS).write_bytes(msgspec.json.encode(tuple(steps)))


def do(one: own.Own, scene: Scene, steps: Sequence[Step], *, within_s: float) -> None:
    """Have commands run that take a moment, and wait until they have; for `inject`, in place of `send`.

    `one`: what `start` returned. Raises FaultError where one fails, or they take longer.
    """
    send(scene, steps)
    one.go()
    until_s = boot_s() + within_s
    while (ended := _ended(scene)) is None or (ended.code == 0 and ended.number < len(steps)):
        if boot_s() >= until_s:
            raise FaultError(f"{steps[0].argv[0]} has not ended within {within_s:g} s")
        time.sleep(_LOOKS_EVERY_S)
    if ended.code != 0:
        raise FaultError(ended.words)


def failed(scene: Scene) -> str:
    """Say which command has failed, and how; empty while none has."""
    ended = _ended(scene)
    return "" if ended is None or ended.code == 0 else ended.words


def end(scene: Scene) -> None:
    """End whatever still runs, and wait until it is gone; the first thing of a `revert`.

    Children may be born while their parents are being killed, so it is done again until nobody is left.
    """
    until_s = boot_s() + _ENDS_WITHIN_S
    while True:
        own.end(scene.own)
        if not own.left(scene.own) or boot_s() >= until_s:
            return
        time.sleep(_LOOKS_EVERY_S)


def main() -> None:
    """Wait for the word, run the commands, leave the news."""
    import subprocess  # noqa: F401, PLC0415  # before the word: nothing is loaded after it

    letter = msgspec.json.decode(told(), type=_Letter)
    stand_by()
    folder = Path(letter.folder)
    steps = msgspec.json.decode((folder / _STEPS).read_bytes(), type=tuple[Step, ...])
    for number, step in enumerate(steps, 1):
        ended = _run(step, letter, number)
        half = folder / f"{_ENDED}.tmp"
        half.write_bytes(msgspec.json.encode(ended))
        half.replace(folder / _ENDED)
        if ended.code != 0:
            return


def _ended(scene: Scene) -> Ended | None:
    with suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode((Path(scene.folder) / _ENDED).read_bytes(), type=Ended)
    return None


def _run(step: Step, letter: _Letter, number: int) -> Ended:
    try:
        ran = commands.run_along(step.argv, environment=letter.environment, told=step.told.encode())
    except FaultError as error:
        return Ended(number, None, str(error))
    output = ran.output
    for secret in letter.secrets:
        output = output.replace(secret, MASK)
    return Ended(number, ran.code, f"{Path(step.argv[0]).name} {commands.Ran(ran.code, output).words()}")


if __name__ == "__main__":
    main()
