"""netem: what leaves this host is late, lost, out of order or slow, as over a bad line (tc and nftables)."""

from collections.abc import Iterator

import msgspec

from workers.chaos import errand
from workers.chaos.contract import Kind, Scene
from workers.chaos.network import tc
from workers.chaos.network.cut import Cut
from workers.chaos.network.peers import Port, Transport, Wanted, select
from workers.chaos.network.ruleset import HIT
from workers.chaos.own import Own
from workers.chaos.processes import boot_s
from workers.chaos.units import bytes_per_second, seconds, share
from workers.contract.errors import FaultError

MOST_WAITING = 20_000
"""Packets: tc's own limit, 1000, loses what comes beyond 10,000 a second while each waits for 100 ms."""
_LOOKS_EVERY_S = 1.0


class Netem:
    """Delay, lose, reorder or slow down what leaves by one device, to chosen hosts and ports or to all.

    So far only `rate` was tried on a real kernel: those of our tests had no sch_netem for the others.
    """

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
        """At least one of delay, loss, rate; jitter and reorder go with delay.

        delay, jitter: durations. loss, reorder: percentages. rate: a size per second; it alone needs no
        sch_netem. hosts (names, addresses, CIDRs), ports (at either end), transport: which packets (all).
        device: which they leave by; none: the one that leads to the hosts, or the default route.
        """

        delay: str | None = None
        jitter: str | None = None
        loss: str | None = None
        reorder: str | None = None
        rate: str | None = None
        hosts: tuple[str, ...] = ()
        ports: tuple[Port, ...] = ()
        transport: Transport = "any"
        device: str | None = None

        def __post_init__(self) -> None:
            """Refuse what would do nothing."""
            if self.delay is None and self.loss is None and self.rate is None:
                raise ValueError("say at least one of delay, loss, rate")
            if self.delay is None and (self.jitter is not None or self.reorder is not None):
                raise ValueError("jitter and reorder need a delay")

    def __init__(self, options: Options) -> None:
        """Take the options. Raises FaultError."""
        self._netem = tuple(_words(options))
        rate_bytes = bytes_per_second(options.rate, option="rate") if options.rate else 0
        self._rate = f"{round(rate_bytes)}bps" if rate_bytes else ""
        if options.device is not None and not _is_device(options.device):
            raise FaultError(f"device {options.device!r} is no name of a device")
        self._device = options.device or ""
        self._wanted = Wanted(
            hosts=options.hosts, ports=options.ports, transport=options.transport, direction="out"
        )
        self._marks: Cut | None = None
        self._looked_s, self._lacks = 0.0, ""

    def plan(self, scene: Scene) -> tuple[str, ...]:
        """The device, and the packets."""
        device = self._device or self._found(scene)
        what = " ".join((*self._netem, *(("rate", self._rate) if self._rate else ())))
        return (f"device {device}", *(f"{what}: {words}" for words in self._cut(scene).plan(scene)))

    def check(self, scene: Scene) -> None:
        """tc, nftables, the right to use them, sch_netem but for `rate`; no queue of others on the device."""
        self._device = self._device or self._found(scene)
        marks = self._cut(scene)
        marks.check(scene)
        tc.check(self._device, self._queue(scene))
        self._marks = marks

    def prepare(self, scene: Scene) -> tuple[Own, ...]:
        """Start the process that will make the queue and load the table."""
        assert self._marks is not None  # noqa: S101  # `check` comes before
        return self._marks.prepare(scene)

    def inject(self, scene: Scene) -> None:
        """First a queue, then marks of what goes there, which the kernel lets go of when the time is over."""
        assert self._marks is not None  # noqa: S101
        self._marks.inject_after(scene, errand.Step(tc.LOAD, self._queue(scene)))

    def verify(self, scene: Scene) -> str:
        """Packets must have been marked, and have left by our queue."""
        assert self._marks is not None  # noqa: S101
        if trouble := self._marks.verify(scene):
            return trouble
        now_s = boot_s()
        if self._lacks or now_s - self._looked_s >= _LOOKS_EVERY_S:
            self._looked_s, self._lacks = now_s, self._look(scene)
        return self._lacks

    def revert(self, scene: Scene) -> None:
        """Mark no more, then remove the queue with all that waits in it."""
        try:
            self._cut(scene).revert(scene)
        finally:
            tc.remove(scene.key)

    def residue(self, scene: Scene) -> str:
        """Neither the table nor the queue may be left."""
        queues = "; ".join(f"the queue on {device} is still there" for device in tc.devices(scene.key))
        return "; ".join(filter(None, (self._cut(scene).residue(scene), queues)))

    def did(self, scene: Scene) -> dict[str, int]:
        """Packets that were marked."""
        return self._cut(scene).did(scene)

    def _look(self, scene: Scene) -> str:
        if self._device not in tc.devices(scene.key):
            return f"the queue on {self._device} is gone"
        return (
            "" if tc.sent(self._device, scene.key) else f"no packet has left by the queue on {self._device}"
        )

    def _cut(self, scene: Scene) -> Cut:
        action = f"counter name {HIT} meta priority set {tc.class_of(scene.key)}"
        return Cut(self._wanted, action=action, hits="marked", place="way out")

    def _queue(self, scene: Scene) -> str:
        netem = (f"limit {MOST_WAITING}", *self._netem) if self._netem else ()
        return tc.queue(self._device, scene.key, rate=self._rate, netem=netem)

    def _found(self, scene: Scene) -> str:
        selection = select(self._wanted, scene.rules.broker)
        named = [one for one in selection.networks if one.prefixlen]  # everybody: by the default route
        return tc.device_towards([str(one.network_address) for one in named])


def _words(options: Netem.Options) -> Iterator[str]:
    """The words of tc's netem; microseconds and shares are exact enough for the kernel."""
    if options.delay is not None:
        yield f"delay {_us(options.delay, 'delay')}us"
        if options.jitter is not None:
            yield f"{_us(options.jitter, 'jitter')}us"
        if options.reorder is not None:
            yield f"reorder {share(options.reorder, option='reorder'):.4%}"
    if options.loss is not None:
        yield f"loss random {share(options.loss, option='loss'):.4%}"


def _us(text: str, option: str) -> int:
    return round(seconds(text, option=option) * 1e6)


def _is_device(name: str) -> bool:
    """As the kernel has them: at most 15 bytes, no slash, no blank; not an option of tc either."""
    return 0 < len(name) < 16 and not name.startswith("-") and not set(name) & set("/ \t\n:")


KIND = Kind(Netem, Netem.Options, wide=True, scales=("delay", "jitter", "loss", "reorder"))
