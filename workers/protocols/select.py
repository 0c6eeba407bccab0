"""Make a protocol of a target's keys: look its kind up in the table and check what the target says."""

from collections.abc import Mapping
from typing import cast

import msgspec

import workers.protocols
from workers.contract.errors import ProtocolError
from workers.contract.kinds import resolve
from workers.protocols.contract import TargetProtocol


def make_protocol(
    name: str, target: Mapping[str, object], *, seed: int, for_regression: bool
) -> TargetProtocol:
    """The protocol called `name` for a target with these keys (those of its `Options`; None means not given).

    Raises UnknownKindError for a name that no table knows, ProtocolError for one that cannot run yet and for
    keys that do not fit.
    """
    kind = resolve(workers.protocols.__name__, workers.protocols.TABLE, name)
    if not vars(kind)["works"]:
        raise ProtocolError(f"protocol {name} can be planned but cannot run yet; choose one of: {_working()}")
    options = read_options(kind, target)
    return cast("TargetProtocol", kind(options, seed=seed, for_regression=for_regression))


def ready_paths(name: str, target: Mapping[str, object]) -> tuple[str, ...]:
    """Paths to ask, in order, whether a target is ready; none of them makes it infer."""
    kind = resolve(workers.protocols.__name__, workers.protocols.TABLE, name)
    paths = vars(kind)["readiness_paths"].__func__(read_options(kind, target))
    return cast("tuple[str, ...]", paths)


def read_options(kind: type, target: Mapping[str, object]) -> object:
    """A kind's typed options. Raises ProtocolError, in msgspec's words, for a key that does not fit."""
    given = {key: value for key, value in target.items() if value is not None}
    try:
        return msgspec.convert(given, vars(kind)["Options"])
    except msgspec.ValidationError as error:
        raise ProtocolError(f"the target's keys do not fit its protocol: {error}") from error


def _working() -> str:
    table = workers.protocols.TABLE
    return ", ".join(n for n in table if vars(resolve(workers.protocols.__name__, table, n))["works"])
