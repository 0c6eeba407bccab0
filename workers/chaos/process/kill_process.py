"""kill-process: the target dies. One-shot; whoever supervises it has to bring it back."""

import signal

import msgspec

from workers.chaos.contract import Kind, Scene
from workers.chaos.processes import alive, ask_permission, send, words

_ENDING = ("KILL", "TERM", "INT", "QUIT", "HUP", "ABRT", "SEGV", "BUS", "PIPE", "ALRM", "USR1", "USR2")


class KillProcess:
    """Send a signal that ends a process to the matched processes and all their children."""

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """`signal`: its name, with or without SIG; KILL cannot be refused by the process, TERM can."""

        signal: str = "KILL"

        def __post_init__(self) -> None:
            """Refuse what is no signal, or none that ends a process."""
            if self.signal.upper().removeprefix("SIG") not in _ENDING:
                raise ValueError(f"signal {self.signal!r}: say one of {', '.join(_ENDING)}")

    def __init__(self, options: Options) -> None:
        """Take the options."""
        self._signal = signal.Signals["SIG" + options.signal.upper().removeprefix("SIG")]

    def check(self, scene: Scene) -> None:
        """Refuse processes that this user may not signal."""
        for who in scene.processes:
            ask_permission(who)

    def plan(self, scene: Scene) -> tuple[str, ...]:  # noqa: ARG002  # the shape of every fault
        """Nothing but the processes."""
        return ()

    def inject(self, scene: Scene) -> None:
        """Send it, parents first, so that none replaces its child before it goes itself."""
        for who in scene.processes:
            send(who, self._signal)

    def verify(self, scene: Scene) -> str:
        """Each must be gone; a successor under the same pid is another process."""
        return "; ".join(
            f"{words(who)} lives in spite of {self._signal.name}" for who in alive(scene.processes)
        )

    def revert(self, scene: Scene) -> None:
        """Nothing: the dead stay dead."""

    def residue(self, scene: Scene) -> str:  # noqa: ARG002  # the shape of every fault
        """None."""
        return ""


KIND = Kind(KillProcess, KillProcess.Options, held=False, needs_match=True)
