"""The red button: who pressed halt, who said resume, and which of the two counts now.

Both stand in one hash in Redis (`names.HALT`), each signed. A reader remembers the newest of each that it
could believe, so taking the hash away does not end a halt, and an old halt that is put back after its resume,
or an old resume after a newer halt, does nothing.
"""

import logging
import threading
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from workers.contract.decoding import guarded
from workers.contract.signed.signing import SKEW_S, Keys, SignatureError, check, sign

Button = Literal["halt", "resume"]
BUTTONS: Final[tuple[Button, ...]] = ("resume", "halt")
"""In the order in which they are read: a resume that is believed settles what halt before it is worth."""
MOST_DOUBTED: Final = 1000
"""Different presses that were not believed and are remembered, so that each is said once."""

log = logging.getLogger(__name__)


class Press(msgspec.Struct, frozen=True):
    """A person pressed halt, or said resume, at `at_s` of common time.

    `key`: whose signature it was, filled in by who believed it.
    """

    by: str
    why: str = ""
    at_s: float = 0.0
    signature: str = ""
    key: str = ""

    def words(self) -> str:
        """For people: `halted by ada: the pager rings`."""
        return f"halted by {self.by}" + (f": {self.why}" if self.why else "")


encode_press = msgspec.json.Encoder().encode
decode_press = guarded(msgspec.json.Decoder(Press).decode)


def sign_press(press: Press, *, purpose: Button, keys: Keys) -> Press:
    """The press with its signature, which does not expire: a newer press ends it."""
    token = sign(_body(press), purpose=purpose, keys=keys, at_s=press.at_s)
    return msgspec.structs.replace(press, signature=token)


def check_press(press: Press, *, purpose: Button, keys: Keys, now_s: float) -> Press:
    """The press with the key that signed it.

    Raises SignatureError where it is not to be believed, or claims to be of the future.
    """
    signed = check(press.signature, _body(press), purpose=purpose, keys=keys, now_s=now_s)
    if keys.keys and signed.at_s != press.at_s:
        raise SignatureError(f"the {purpose} says another time than its signature")
    if press.at_s > now_s + SKEW_S:
        raise SignatureError(f"the {purpose} is {press.at_s - now_s:.0f} s ahead of the common clock")
    return msgspec.structs.replace(press, key=signed.key)


class Halts:
    """What one process knows of the red button: the newest halt and resume that it believed."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._lock = threading.Lock()
        self._newest: dict[Button, Press] = {}
        self._doubted: set[bytes] = set()

    def read(self, found: Mapping[bytes, bytes], *, now_s: float) -> tuple[str, ...]:
        """Take in what the hash holds now; why something in it is not believed, each once."""
        said: list[str] = []
        for button in BUTTONS:
            body = found.get(button.encode())
            if body is None:
                continue
            try:
                self._take(button, body, now_s)
            except (SignatureError, msgspec.DecodeError) as error:
                if self._is_settled(button, body):
                    continue
                if body not in self._doubted and len(self._doubted) < MOST_DOUBTED:
                    self._doubted.add(body)
                    said.append(f"a {button} in Redis does not count: {error}")
        return tuple(said)

    def halted(self) -> Press | None:
        """The halt that holds now; None where there is none, or a newer resume."""
        with self._lock:
            halt, resume = self._newest.get("halt"), self._newest.get("resume")
        if halt is None or (resume is not None and resume.at_s > halt.at_s):
            return None
        return halt

    def hits(self, began_s: float) -> Press | None:
        """The halt that ends what began at a moment: one that holds now, or was pressed since and is over."""
        with self._lock:
            halt = self._newest.get("halt")
        since = halt if halt is not None and halt.at_s >= began_s else None
        return self.halted() or since

    def resumed(self) -> Press | None:
        """The newest resume."""
        with self._lock:
            return self._newest.get("resume")

    def _is_settled(self, button: Button, body: bytes) -> bool:
        """Whether this halt would do nothing even if it were believed, since a newer resume was."""
        resume = self._newest.get("resume")
        if button == "resume" or resume is None:
            return False
        try:
            return decode_press(body).at_s < resume.at_s
        except msgspec.DecodeError:
            return False

    def _take(self, button: Button, body: bytes, now_s: float) -> None:
        press = decode_press(body)
        known = self._newest.get(button)
        if known is not None and press.at_s <= known.at_s:
            return
        believed = check_press(press, purpose=button, keys=self._keys, now_s=now_s)
        with self._lock:
            self._newest[button] = believed


def _body(press: Press) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(press, signature=""), order="deterministic")
