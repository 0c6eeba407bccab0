"""A one-shot fault: written down, done, seen. What is done cannot be taken back, so it must not come late."""

from contextlib import suppress

from workers.chaos.contract import FaultEvent, Scene
from workers.chaos.ledger import forget, open_entry
from workers.chaos.processes import boot_s
from workers.chaos.stage import LOOKS_EVERY_S, TAKES_EFFECT_WITHIN_S, Stage
from workers.contract.errors import FaultError

STRIKES_WITHIN_S = 5.0
"""What happens once cannot be taken back, so it must not come at a time that nobody chose."""


def strike(stage: Stage, scene: Scene) -> None:
    """Do it; nothing is to be reverted, the ledger's entry only says that it was about to be done.

    Raises FaultError where it was not done.
    """
    with stage.alone_on(scene):
        deadline_s = boot_s() + STRIKES_WITHIN_S
        path, _ = open_entry(
            stage.ledger, stage.order, scene=scene, deadline_s=deadline_s, touched=stage.touched
        )
    try:
        late_s = boot_s() - deadline_s
        held_up = f"this agent was held up for {late_s + STRIKES_WITHIN_S:.1f} s" if late_s > 0 else ""
        if reason := held_up or stage.may_go_on():
            raise FaultError(f"not injected: {reason}")
        stage.fault.inject(scene)
        at_s = stage.clock()
    finally:
        with suppress(FaultError):  # what was done has to be told, though the disk refuses
            forget(path)
    stage.say("injected", at_s, scene)
    _see(stage, scene)


def _see(stage: Stage, scene: Scene) -> None:
    """Look for the effect until it is there, or it is too late for it."""
    until_s = boot_s() + TAKES_EFFECT_WITHIN_S
    while (trouble := stage.fault.verify(scene)) and boot_s() < until_s:
        if reason := stage.may_go_on():
            why = f"{trouble}; not waited for longer: {reason}"
            stage.emit(FaultEvent("verified", stage.clock(), scene.processes, took_effect=None, why=why))
            return
        stage.wait(LOOKS_EVERY_S)
    why = f"{trouble} after {TAKES_EFFECT_WITHIN_S:g} s" if trouble else ""
    stage.emit(FaultEvent("verified", stage.clock(), scene.processes, took_effect=not trouble, why=why))
