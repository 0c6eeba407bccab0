"""The fault that a table of nftables is: packet-drop, packet-loss and partition are made of it."""

import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from workers.chaos import errand
from workers.chaos.contract import Scene
from workers.chaos.network import nft
from workers.chaos.network.peers import Selection, Wanted, select
from workers.chaos.network.ruleset import HIT, Place, ruleset
from workers.chaos.own import Own
from workers.chaos.processes import boot_s
from workers.contract.errors import FaultError

LOOKS_EVERY_S: Final = 0.1
"""Until the first packet is hit; a look costs some milliseconds of a core."""
LOOKS_AGAIN_EVERY_S: Final = 1.0
_DISCARD: Final = 9
"""The port whose service throws away what it is sent (RFC 863)."""
_COUNTS: Final = "counts.json"


class Cut:
    """A table whose rules do something to packets. The agent's instance checks, loads and watches it."""

    def __init__(
        self,
        wanted: Wanted,
        *,
        action: str,
        hits: str = "dropped",
        place: Place = "host",
        probes: bool = False,
    ) -> None:
        """`action`: what is done to a packet, in nft's words. `probes`: a packet of ours may prove it.

        `hits`: what a packet is that it was done to, in a word.
        """
        self._hits = hits
        self._wanted, self._action, self._place = wanted, action, place
        self._probes = probes and wanted.direction != "in" and wanted.transport != "tcp"
        self._selection: Selection | None = None
        self._errand: Own | None = None
        self._looked_s, self._said, self._hit = 0.0, "", False

    def plan(self, scene: Scene) -> tuple[str, ...]:
        """Which packets, and which are spared."""
        spared = ", ".join(scene.rules.broker)
        return (self._wanted.words() + (f" (but for Redis at {spared})" if spared else ""),)

    def check(self, scene: Scene) -> None:
        """nftables, and the right to load these very rules; hosts that can be found; Redis not among them."""
        self._selection = select(self._wanted, scene.rules.broker)
        nft.check(self._rules(scene))

    def prepare(self, scene: Scene) -> tuple[Own, ...]:
        """Start the process that will load the table."""
        self._errand = errand.start(scene)
        return (self._errand,)

    def inject(self, scene: Scene) -> None:
        """Load a table of nftables, whose rules the kernel lets go of by itself when the time is over."""
        self.inject_after(scene)

    def inject_after(self, scene: Scene, *before: errand.Step) -> None:
        """The same, once these steps are done. Raises FaultError."""
        assert self._errand is not None  # noqa: S101  # `prepare` comes before
        steps = [*before, errand.Step(nft.LOAD, self._rules(scene))]
        errand.do(self._errand, scene, steps, within_s=nft.WITHIN_S)

    def verify(self, scene: Scene) -> str:
        """The kernel must still apply the table, and its own counter have counted a packet that was hit."""
        now_s = boot_s()
        if now_s - self._looked_s >= (LOOKS_AGAIN_EVERY_S if self._hit else LOOKS_EVERY_S):
            self._looked_s, self._said = now_s, self._look(scene)
        return self._said

    def revert(self, scene: Scene) -> None:
        """Remove the table, which nobody may load any more; its counts are kept for the report."""
        errand.end(scene)
        with suppress(FaultError, OSError):
            table = nft.look(nft.name_of(scene.key))
            if table is not None:
                (Path(scene.folder) / _COUNTS).write_bytes(msgspec.json.encode(table.packets))
        nft.remove(nft.name_of(scene.key))

    def residue(self, scene: Scene) -> str:
        """No table of ours may be left."""
        name = nft.name_of(scene.key)
        return "" if nft.look(name) is None else f"table inet {name} of nftables is still there"

    def did(self, scene: Scene) -> dict[str, int]:
        """Packets selected, and those that it was done to; kept from before the revert."""
        with suppress(OSError, msgspec.DecodeError):
            kept = msgspec.json.decode((Path(scene.folder) / _COUNTS).read_bytes(), type=dict[str, int])
            return {"packets": kept.get("seen", 0), self._hits: kept.get(HIT, 0)}
        return {}

    def _rules(self, scene: Scene) -> str:
        assert self._selection is not None  # noqa: S101  # `check` comes before
        return ruleset(
            self._selection,
            name=nft.name_of(scene.key),
            action=self._action,
            place=self._place,
            timeout_s=scene.until_s - boot_s(),
        )

    def _look(self, scene: Scene) -> str:
        name = nft.name_of(scene.key)
        table = nft.look(name)
        if table is None:
            return f"table inet {name} is gone: somebody has flushed nftables"
        if not table.armed:
            return f"table inet {name} has outlived its time, and the kernel has let go"
        self._hit = table.packets.get(HIT, 0) > 0
        if self._hit:
            return ""
        if self._probes:
            self._poke()
        seen = table.packets.get("seen", 0)
        return f"no packet was hit: {seen} came by of the {self._wanted.words()}"

    def _poke(self) -> None:
        """Send a packet of ours that has to be hit; should it not be, whoever gets it discards it."""
        assert self._selection is not None  # noqa: S101
        port = self._wanted.ports[0] if self._wanted.ports else _DISCARD
        for address in self._selection.single():
            family = socket.AF_INET if address.version == 4 else socket.AF_INET6
            with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.setblocking(False)
                probe.sendto(b"", (str(address), port))
