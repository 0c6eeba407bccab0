"""http: a fault that a platform does itself: calls of its own fault API inject it, look at it, revert it."""

from typing import Final

import msgspec

from workers.chaos.contract import Kind, Scene
from workers.chaos.platform.http_call import Answer, Call, check_call, permitted, place, send
from workers.chaos.platform.listed import LONGEST_S
from workers.chaos.platform.looks import Looks
from workers.chaos.platform.turns import in_turn
from workers.chaos.units import seconds
from workers.contract.errors import FaultError

_SERVER_ERROR: Final = 500
_ALREADY_GONE: Final = (404, 410)


class Http:
    """Call a fault API; its host must be on this worker's allow-list."""

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
        """Each call: `method`, `url`, and if needed `headers`, `body`, `status` (a list), `contains`.

        inject: answered by a 2xx, or one of `status`. verify: the fault is in effect where it is answered so,
        and by a body that holds `contains`; not in effect by any other answer below 500, which tells nothing.
        revert: answered by a 2xx, 404 or 410, or one of `status`; does no harm where nothing is to be taken
        back. within: for each call (5s; at most 60s). every: how often verify is asked (1s). Secrets go into
        headers and bodies; `$SHAKEOUT_FAULT` in a URL or body names this one fault.
        """

        inject: Call
        verify: Call
        revert: Call
        within: str = "5s"
        every: str = "1s"

    def __init__(self, options: Options) -> None:
        """Take the options. Raises FaultError."""
        self._options = options
        self._within_s = seconds(options.within, option="within", least_s=0.1, most_s=LONGEST_S)
        self._every_s = seconds(options.every, option="every", least_s=0.1)
        for option in ("inject", "verify", "revert"):
            check_call(getattr(options, option), option=option)
        self._looks: Looks | None = None

    def plan(self, scene: Scene) -> tuple[str, ...]:  # noqa: ARG002  # the shape of every fault
        """Whatever the platform does: the call is all that is known."""
        return (f"whatever {place(self._options.inject)} does",)

    def check(self, scene: Scene) -> None:
        """All three hosts must be allowed, the API must answer, and the fault not be in effect already."""
        for call in (self._options.inject, self._options.verify, self._options.revert):
            permitted(call, scene)
        if residue := self.residue(scene):
            raise FaultError(f"before anything was injected: {residue}")

    def inject(self, scene: Scene) -> None:
        """Make the inject call.

        Raises FaultError where it is not answered as it should be.
        """
        call = self._options.inject
        answer = send(call, scene, within_s=self._within_s)
        if not _is_meant(answer, call):
            raise FaultError(f"inject: {place(call)} {answer.words()}")

    def verify(self, scene: Scene) -> str:
        """The last answer of the API to the verify call."""
        if self._looks is None:
            self._looks = Looks(lambda: self._asked(scene), every_s=self._every_s, what="verify")
        return self._looks.now()

    def revert(self, scene: Scene) -> None:
        """Make the revert call.

        When nobody else is at it. Raises FaultError where it is answered otherwise.
        """
        call = self._options.revert
        with in_turn(scene, within_s=2 * self._within_s + 1):
            answer = send(call, scene, within_s=self._within_s)
        if not _is_meant(answer, call, or_else=_ALREADY_GONE):
            raise FaultError(f"revert: {place(call)} {answer.words()}")

    def residue(self, scene: Scene) -> str:
        """The API must say that the fault is not in effect."""
        call = self._options.verify
        answer = send(call, scene, within_s=self._within_s)
        if _is_meant(answer, call):
            return f"still in effect: {place(call)} {answer.words()}"
        if answer.status >= _SERVER_ERROR:
            return f"perhaps still in effect: {place(call)} {answer.words()}"
        return ""

    def _asked(self, scene: Scene) -> str:
        call = self._options.verify
        answer = send(call, scene, within_s=self._within_s)
        return "" if _is_meant(answer, call) else f"not in effect: {place(call)} {answer.words()}"


def _is_meant(answer: Answer, call: Call, *, or_else: tuple[int, ...] = ()) -> bool:
    """Whether the answer is one that the call names, or, where it names none, a 2xx or one of `or_else`."""
    usual = 200 <= answer.status <= 299 or answer.status in or_else
    return (answer.status in call.status if call.status else usual) and call.contains in answer.body


KIND = Kind(Http, Http.Options)
