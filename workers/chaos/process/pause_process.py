"""pause-process: the target hangs (SIGSTOP) and goes on (SIGCONT). Its sockets stay open, nothing answers."""

import signal

import msgspec

from workers.chaos.contract import Kind, ProcessId, Scene
from workers.chaos.processes import alive, ask_permission, is_alive, is_stopped, send, thread_states, words
from workers.contract.errors import FaultError


class PauseProcess:
    """Stop the matched processes and all their children until reverted."""

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """None: how long is the activity's own `for`."""

    def __init__(self, options: Options) -> None:
        """Take the options (there are none)."""

    def check(self, scene: Scene) -> None:
        """Refuse what is stopped already (the revert would wake it) and what may not be signalled."""
        for who in scene.processes:
            if is_stopped(who):
                raise FaultError(f"{words(who)} is stopped already, by somebody else: continue it first")
            ask_permission(who)

    def plan(self, scene: Scene) -> tuple[str, ...]:  # noqa: ARG002  # the shape of every fault
        """Nothing but the processes."""
        return ()

    def inject(self, scene: Scene) -> None:
        """Stop them, parents first, so that no parent sees its children hang."""
        for who in scene.processes:
            send(who, signal.SIGSTOP)

    def verify(self, scene: Scene) -> str:
        """Every thread of every process must be in state T."""
        return "; ".join(filter(None, map(_runs, scene.processes)))

    def revert(self, scene: Scene) -> None:
        """Let them go on, children first."""
        refused = []
        for who in reversed(scene.processes):
            try:
                send(who, signal.SIGCONT)
            except FaultError as error:
                refused.append(str(error))
        if refused:
            raise FaultError("; ".join(refused))

    def residue(self, scene: Scene) -> str:
        """Nothing may still be stopped."""
        return "; ".join(
            f"{words(who)} is still stopped" for who in alive(scene.processes) if _has_stopped(who)
        )


def _runs(who: ProcessId) -> str:
    if is_stopped(who):
        return ""
    return f"{words(who)} runs" if is_alive(who) else f"{words(who)} exited by itself"


def _has_stopped(who: ProcessId) -> bool:
    return "T" in thread_states(who)


KIND = Kind(PauseProcess, PauseProcess.Options, needs_match=True)
