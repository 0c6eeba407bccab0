"""restart-process: the target is ended, stays away for the fault's time, and is started by a command."""

import signal
from pathlib import Path
from typing import Annotated, Final

import msgspec

from workers.chaos.contract import Kind, Scene
from workers.chaos.match import find, matching
from workers.chaos.platform import listed
from workers.chaos.platform.turns import in_turn
from workers.chaos.processes import alive, ask_permission, boot_s, send, wait_for, words
from workers.chaos.units import seconds
from workers.contract.errors import FaultError

_ENDED = "ended"
"""A file in the fault's folder: the signal has been sent, or is about to be."""
_LOOKS_AROUND_EVERY_S: Final = 0.5  # at every process of the host


class RestartProcess:
    """End the matched processes and all their children; bring them back with a command of the operator's."""

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
        """How long the target stays away is the activity's own `for`.

        start: the command that starts it again, its program in a folder that the worker lists (--user-code);
        it has to return, and to do no harm where the target runs. signal: KILL or TERM. within: how long the
        command may take, and after it the target to be there again (10s; at most 60s). env: variables for the
        command, which may refer to secrets.
        """

        start: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
        signal: str = "KILL"
        within: str = "10s"
        env: dict[str, str] = {}

        def __post_init__(self) -> None:
            """Refuse a signal that is none of the two."""
            if self.signal.upper().removeprefix("SIG") not in ("KILL", "TERM"):
                raise ValueError(f"signal {self.signal!r}: say KILL or TERM")

    def __init__(self, options: Options) -> None:
        """Take the options. Raises FaultError."""
        self._start, self._env = options.start, options.env
        self._signal = signal.Signals["SIG" + options.signal.upper().removeprefix("SIG")]
        self._within_s = seconds(options.within, option="within", least_s=0.1, most_s=listed.LONGEST_S)
        listed.refuse_secrets(options.start, option="start")
        self._looked_s, self._back = 0.0, ""

    def plan(self, scene: Scene) -> tuple[str, ...]:  # noqa: ARG002  # the shape of every fault
        """Nothing but the processes."""
        return ()

    def check(self, scene: Scene) -> None:
        """The command must be there, and the processes such as this user may signal."""
        listed.found(self._start, scene)
        for who in scene.processes:
            ask_permission(who)

    def inject(self, scene: Scene) -> None:
        """Send the signal, parents first."""
        (Path(scene.folder) / _ENDED).touch()
        for who in scene.processes:
            send(who, self._signal)

    def verify(self, scene: Scene) -> str:
        """All of them gone, and nobody in their place."""
        if here := alive(scene.processes):
            return "; ".join(f"{words(who)} lives in spite of {self._signal.name}" for who in here)
        now_s = boot_s()
        if self._back or now_s - self._looked_s >= _LOOKS_AROUND_EVERY_S:
            self._back = "; ".join(f"{words(who)} is back before its time" for who in matching(scene))
            self._looked_s = now_s  # whoever comes while it looks may not be seen
        return self._back

    def revert(self, scene: Scene) -> None:
        """Start the target, unless it runs; whoever outlived a polite signal is killed first."""
        with in_turn(scene, within_s=2 * self._within_s + 1):
            if (Path(scene.folder) / _ENDED).exists():
                for who in scene.processes:
                    send(who, signal.SIGKILL)
                wait_for(lambda: not alive(scene.processes), within_s=self._within_s)
            if matching(scene):
                return
            ran = listed.run(self._start, scene, within_s=self._within_s, environment=self._env)
            if ran.code != 0:
                raise FaultError(f"the target is not started again: {self._start[0]} {ran.words()}")
            wait_for(lambda: bool(matching(scene)), within_s=self._within_s)

    def residue(self, scene: Scene) -> str:
        """Somebody must match again."""
        return "" if matching(scene) else f"the target does not run again: {_missing(scene)}"


def _missing(scene: Scene) -> str:
    assert scene.match is not None  # noqa: S101
    try:
        find(scene.match)
    except FaultError as error:
        return str(error)
    return ""


KIND = Kind(RestartProcess, RestartProcess.Options, needs_match=True, ends=True)
