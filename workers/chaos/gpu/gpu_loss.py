"""gpu-loss: the target dies, and what starts in its place sees fewer GPUs, as after a device that was lost.

No driver takes a GPU away on demand without root and a reset; what a service has to live with afterwards is
the same. Once reverted it is started again with all that it had.
"""

import os
import signal
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from workers.chaos import errand, references, units
from workers.chaos.contract import Kind, ProcessId, Scene
from workers.chaos.gpu import asking
from workers.chaos.match import matching
from workers.chaos.own import Own
from workers.chaos.platform import listed
from workers.chaos.platform.turns import in_turn
from workers.chaos.processes import alive, ask_permission, boot_s, send, wait_for, words
from workers.contract.errors import FaultError

VARIABLE: Final = "CUDA_VISIBLE_DEVICES"

_BEFORE = "visible-before.json"
_BEGUN = "begun"
_LOOKS_AROUND_EVERY_S: Final = 0.5  # at every process of the host
_DIES_WITHIN_S = 3.0  # with a hundred GiB of GPU memory to give back it takes a second


class GpuLoss:
    """Kill the matched processes; start them anew with fewer GPUs visible, afterwards with all of them.

    So far this was tried with CUDA_VISIBLE_DEVICES alone, on no real GPU.
    """

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
        """start: the command that starts the target, its program in a folder that the worker lists.

        It runs with CUDA_VISIBLE_DEVICES set, has to pass that on to the target, and to return. lose: how
        many of the target's GPUs are gone, the last ones first, or all. within: how long the command may
        take, and after it the target to be there (10s; at most 60s). env: variables for the command, which
        may refer to secrets.
        """

        start: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
        lose: Annotated[int, msgspec.Meta(ge=1)] | Literal["all"] = 1
        within: str = "10s"
        env: dict[str, str] = {}

    def __init__(self, options: Options) -> None:
        """Take the options. Raises FaultError where one cannot be understood."""
        self._start, self._env, self._lose = options.start, options.env, options.lose
        self._within_s = units.seconds(options.within, option="within", least_s=0.1, most_s=listed.LONGEST_S)
        listed.refuse_secrets(options.start, option="start")
        self._before: str | None = None
        self._fewer = ""
        self._looked_s, self._seen = 0.0, ""

    def check(self, scene: Scene) -> None:
        """The command must be there, the processes ours to signal, and have GPUs to lose."""
        listed.found(self._start, scene)
        for who in scene.processes:
            ask_permission(who)
        self._before = _visible(scene.processes[0]) if scene.processes else None
        if self._before is None:
            has = [str(gpu.index) for gpu in asking.able().gpus]
        else:
            has = [word for word in self._before.split(",") if word]
        lost = len(has) if self._lose == "all" else self._lose
        if not has or lost > len(has):
            raise FaultError(
                f"lose {self._lose}: the target sees {len(has)} GPUs ({', '.join(has) or 'none'})"
            )
        self._fewer = ",".join(has[: len(has) - lost])

    def plan(self, scene: Scene) -> tuple[str, ...]:  # noqa: ARG002  # the shape of every fault
        """Which GPUs are left to it."""
        return (f"{VARIABLE} of the target: {self._fewer or 'none'}",)

    def prepare(self, scene: Scene) -> tuple[Own, ...]:
        """Remember what it sees; have the command ready, in a process that runs it when told to."""
        (Path(scene.folder) / _BEFORE).write_bytes(msgspec.json.encode(self._before))
        environment = {**listed.environment_of(self._env, scene), VARIABLE: self._fewer}
        secrets = references.values(self._env, scene.rules.secrets)
        return (errand.start(scene, environment=environment, secrets=secrets),)

    def inject(self, scene: Scene) -> None:
        """Kill them; the command is told to go right after."""
        (Path(scene.folder) / _BEGUN).touch()
        errand.send(scene, [errand.Step(tuple(listed.found(self._start, scene)))])
        for who in scene.processes:
            send(who, signal.SIGKILL)
        wait_for(lambda: not alive(scene.processes), within_s=_DIES_WITHIN_S)

    def verify(self, scene: Scene) -> str:
        """Somebody must match again whose environment names those GPUs and no more."""
        if here := alive(scene.processes):
            return f"{words(here[0])} lives in spite of SIGKILL"
        if self._seen or boot_s() - self._looked_s >= _LOOKS_AROUND_EVERY_S:
            self._seen = errand.failed(scene) or _differs(scene, self._fewer)
            self._looked_s = boot_s()
        return self._seen

    def revert(self, scene: Scene) -> None:
        """Kill what sees too few, and start the target with what it had; nothing where that runs already."""
        with in_turn(scene, within_s=3 * self._within_s + 1):
            if not (Path(scene.folder) / _BEGUN).exists():
                return
            errand.end(scene)  # a command in the middle must not come to pass after this
            before = _before(scene)
            if not _differs(scene, before):
                return
            doomed = [*scene.processes, *matching(scene)]
            for who in doomed:
                send(who, signal.SIGKILL)
            wait_for(lambda: not alive(doomed), within_s=_DIES_WITHIN_S)
            given = {} if before is None else {VARIABLE: before}
            ran = listed.run(self._start, scene, within_s=self._within_s, environment={**self._env, **given})
            if ran.code != 0:
                raise FaultError(f"the target is not started again: {self._start[0]} {ran.words()}")
            wait_for(lambda: not _differs(scene, before), within_s=self._within_s)

    def residue(self, scene: Scene) -> str:
        """Somebody must match, with the GPUs that it had."""
        if not (Path(scene.folder) / _BEGUN).exists():
            return ""
        return _differs(scene, _before(scene))


def _differs(scene: Scene, visible: str | None) -> str:
    """What is not so about the target now, in words, if it is to see these GPUs."""
    found = matching(scene)
    if not found:
        return "the target does not run"
    sees = _visible(found[0])
    if sees == visible:
        return ""
    return f"{words(found[0])} has {VARIABLE}={sees or 'none'}, not {visible or 'none'}"


def _before(scene: Scene) -> str | None:
    try:
        return msgspec.json.decode((Path(scene.folder) / _BEFORE).read_bytes(), type=str | None)
    except (OSError, msgspec.DecodeError) as error:
        raise FaultError(f"which GPUs the target had is not known any more: {error}") from error


def _visible(who: ProcessId) -> str | None:
    """The variable as the process was started with it; None where it had none.

    Raises FaultError where this user may not look.
    """
    try:
        text = Path(f"/proc/{who.pid}/environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError):  # it is just ending
        return None
    except OSError as error:
        raise FaultError(
            f"the environment of {words(who)} cannot be read: {error.strerror}; "
            "run the worker as that user, or as root"
        ) from error
    given = dict(word.partition("=")[::2] for word in os.fsdecode(text).split("\0") if word)
    return given.get(VARIABLE)


KIND = Kind(GpuLoss, GpuLoss.Options, needs_match=True, ends=True)
