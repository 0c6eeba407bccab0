"""What a fault's run needs all the way: the order, the fault, and the caller's functions."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workers.chaos.contract import Fault, FaultEvent, FaultOrder, Kind, Scene, What, kind_of
from workers.chaos.one_at_a_time import alone, taken
from workers.contract.errors import FaultError

LOOKS_EVERY_S = 0.05
"""How soon a fault that is held hears that it has to end."""

TAKES_EFFECT_WITHIN_S = 5.0
"""An effect not seen by then is not there: a pause takes a millisecond, a kill as long as the exit takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One run of one fault. `ledger`: folder of this worker's entries; the functions: those of `run_fault`.

    `touched`: what else than processes it is done to, in plain words.
    """

    order: FaultOrder
    fault: Fault
    ledger: Path
    touched: tuple[str, ...]
    clock: Callable[[], float]
    emit: Callable[[FaultEvent], None]
    may_go_on: Callable[[], str | None]
    wait: Callable[[float], None]

    @property
    def kind(self) -> Kind:
        """What kind of fault it is."""
        return kind_of(self.order.fault)

    @contextmanager
    def alone_on(self, scene: Scene) -> Iterator[None]:
        """Let nobody else take the target meanwhile. Raises FaultError where somebody has it."""
        with alone(self.ledger):
            if why := taken(self.ledger, self.order, scene=scene, touched=self.touched):
                raise FaultError(why)
            yield

    def say(self, what: What, at_s: float, scene: Scene) -> None:
        """Tell a step that went well."""
        self.emit(FaultEvent(what, at_s, scene.processes, touched=self.touched))
