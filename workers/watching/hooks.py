"""Who is to be told of the alerts that Alertmanager sends to this worker: the watches that run on it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sent:
    """An alert as Alertmanager sent it to us: `state` firing or resolved, its times by Alertmanager's clock.

    `came_s`: common time at which it came.
    """

    alert: str
    state: str
    fired_s: float
    ended_s: float
    came_s: float


Tell = Callable[[Sent], None]


@dataclass(slots=True)
class Hooks:
    """Attempts that listen for alerts, by name; asked from the receiver's threads."""

    _listening: dict[str, tuple[frozenset[str], Tell]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def listen(self, key: str, alerts: frozenset[str], tell: Tell) -> None:
        """Tell `tell` of these alerts until `release`."""
        with self._lock:
            self._listening[key] = (alerts, tell)

    def release(self, key: str) -> None:
        """It listens no more."""
        with self._lock:
            self._listening.pop(key, None)

    def sent(self, one: Sent) -> int:
        """Pass an alert on; to how many it was told."""
        with self._lock:
            tells = [tell for alerts, tell in self._listening.values() if one.alert in alerts]
        for tell in tells:
            tell(one)
        return len(tells)
