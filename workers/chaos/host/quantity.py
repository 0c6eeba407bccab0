"""How much of something a fault takes: so much, a share of what is there, or all but what it leaves."""

from dataclasses import dataclass

from workers.chaos.units import share, size_bytes
from workers.contract.errors import FaultError


def refuse_none_or_two(**given: object) -> None:
    """Raise ValueError unless exactly one is given; msgspec reports it with the place in the message."""
    if sum(one is not None for one in given.values()) != 1:
        raise ValueError(f"say exactly one of {', '.join(given)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """Exactly one of the three is not None; `number` and `leave` in bytes, or pieces; `part`: 0..1."""

    number: int | None = None
    part: float | None = None
    leave: int | None = None

    def of(self, there: int) -> int:
        """How much that is where so much is there; perhaps more than there is, or less than nothing."""
        if self.number is not None:
            return self.number
        return there - self.leave if self.leave is not None else round(there * (self.part or 0.0))


def of_bytes(size: str | None, part: str | None, leave: str | None, *, fault: str) -> Quantity:
    """The options `size`, `share` and `leave` of a fault. Raises FaultError, for a size or share of 0 too."""
    quantity = Quantity(
        number=None if size is None else size_bytes(size, option="size"),
        part=None if part is None else share(part, option="share"),
        leave=None if leave is None else size_bytes(leave, option="leave"),
    )
    if 0 in (quantity.number, quantity.part):
        raise FaultError(f"{fault}: 0 is nothing to take; say more")
    return quantity
