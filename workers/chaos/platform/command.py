"""command: a fault of your own: commands that inject it, tell whether it is in effect, and revert it."""

from typing import Annotated, Final

import msgspec

from workers.chaos import commands, errand, references
from workers.chaos.contract import Kind, Scene
from workers.chaos.own import Own
from workers.chaos.platform import listed
from workers.chaos.platform.looks import Looks
from workers.chaos.platform.turns import in_turn
from workers.chaos.units import seconds
from workers.contract.errors import FaultError

Argv = Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]

_IN_EFFECT: Final = 0
_NOT_IN_EFFECT: Final = 1


class Command:
    """Run commands that this worker's operator has listed, in place of a fault that Shakeout knows."""

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
        """Each command is a list: a program in a folder that the worker lists (--user-code), then its words.

        inject: brings the fault about; may end at once, or go on until it is ended with the fault. verify:
        exits with 0 while the fault is in effect, with 1 while it is not; anything else: it cannot tell.
        revert: takes it back, and does no harm where there is nothing to take back. within: for verify and
        revert each (5s; at most 60s). every: how often verify is asked (1s). env: variables for all three,
        which may refer to secrets; `$SHAKEOUT_FAULT`, there and in words, names this one fault.
        """

        inject: Argv
        verify: Argv
        revert: Argv
        within: str = "5s"
        every: str = "1s"
        env: dict[str, str] = {}

    def __init__(self, options: Options) -> None:
        """Take the options. Raises FaultError."""
        self._options = options
        self._within_s = seconds(options.within, option="within", least_s=0.1, most_s=listed.LONGEST_S)
        self._every_s = seconds(options.every, option="every", least_s=0.1)
        for option in ("inject", "verify", "revert"):
            listed.refuse_secrets(getattr(options, option), option=option)
        self._looks: Looks | None = None

    def plan(self, scene: Scene) -> tuple[str, ...]:
        """Whatever the command does: its words are all that is known."""
        return (f"whatever {' '.join(listed.found(self._options.inject, scene))} does",)

    def check(self, scene: Scene) -> None:
        """All three must be there, and the fault must not be in effect already."""
        for argv in (self._options.inject, self._options.verify, self._options.revert):
            listed.found(argv, scene)
        if residue := self.residue(scene):
            raise FaultError(f"before anything was injected: {residue}")

    def prepare(self, scene: Scene) -> tuple[Own, ...]:
        """Start the process that will run the inject command."""
        env, secrets = self._options.env, scene.rules.secrets
        around = listed.environment_of(env, scene)
        return (errand.start(scene, environment=around, secrets=references.values(env, secrets)),)

    def inject(self, scene: Scene) -> None:
        """The inject command is run, in a session that ends with the fault."""
        errand.send(scene, [errand.Step(tuple(listed.found(self._options.inject, scene)))])

    def verify(self, scene: Scene) -> str:
        """What the inject command came to, and the last answer of the verify command."""
        if trouble := errand.failed(scene):
            return f"inject: {trouble}"
        if self._looks is None:
            self._looks = Looks(lambda: self._asked(scene), every_s=self._every_s, what="verify")
        return self._looks.now()

    def revert(self, scene: Scene) -> None:
        """End the inject command, with all that runs in its session, then run the revert command."""
        with in_turn(scene, within_s=2 * self._within_s + 1):
            errand.end(scene)
            ran = self._run(self._options.revert, scene)
            if ran.code != 0:
                raise FaultError(f"revert {ran.words()}")

    def residue(self, scene: Scene) -> str:
        """The verify command must say that the fault is not in effect."""
        ran = self._run(self._options.verify, scene)
        if ran.code == _NOT_IN_EFFECT:
            return ""
        how = "still in effect" if ran.code == _IN_EFFECT else "perhaps still in effect"
        return f"{how}: verify {ran.words()}"

    def _asked(self, scene: Scene) -> str:
        ran = self._run(self._options.verify, scene)
        return "" if ran.code == _IN_EFFECT else f"not in effect: verify {ran.words()}"

    def _run(self, argv: tuple[str, ...], scene: Scene) -> commands.Ran:
        return listed.run(argv, scene, within_s=self._within_s, environment=self._options.env)


KIND = Kind(Command, Command.Options)
