"""Faults that clients of ours do: whether an activity has some, the files they read, how much they send."""

from collections.abc import Iterator

import msgspec

from orchestrator.campaign.activities import ChaosActivity
from orchestrator.campaign.composing import Part, built, kind_named, parts_of
from orchestrator.campaign.yaml_reader import Path
from workers.chaos.contract import kind_of
from workers.contract.fault_steps import FaultStep

ANSWERS = "answers"
"""The option that names the answers which are documented for its requests."""
ROWS = "rows"
"""The option of such a fault that names a data file."""


def done_by_clients(model: ChaosActivity) -> bool:
    """Whether any of its faults is traffic of ours on its target."""
    return any(_clients(part) for part in parts_of(model))


def named_rows(model: ChaosActivity) -> Iterator[tuple[Path, str]]:
    """Each data file that its faults read, with the path below the activity of the key that names it."""
    for part in parts_of(model):
        name = part.options.get(ROWS)
        if _clients(part) and isinstance(name, str) and name:
            yield (*part.path, "with", ROWS), name


def files_of_faults(model: ChaosActivity) -> tuple[str, ...]:
    """The same files, as the campaign file writes them, each once."""
    return tuple(dict.fromkeys(name for _, name in named_rows(model)))


def clients_per_s(model: ChaosActivity) -> float:
    """The most that its clients send per second from each host; only those in parallel add up."""
    each = [_per_s(part) for part in parts_of(model) if _clients(part)]
    return sum(each) if model.order == "parallel" else max(each, default=0.0)


def documented_answers(step: FaultStep) -> tuple[str, ...]:
    """Statuses that its clients know as documented (`400`, `4xx`); none where they know of none."""
    kind = kind_named(step.fault)
    if kind is None or not kind.client:
        return ()
    try:
        given = msgspec.convert(dict(step.options), kind.Options)
    except msgspec.ValidationError:
        return ()  # it was never done either
    return tuple(str(one) for one in getattr(given, ANSWERS, ()))


def _clients(part: Part) -> bool:
    kind = kind_named(part.fault)
    return kind is not None and kind.client


def _per_s(part: Part) -> float:
    fault = built(part.options, kind_of(part.fault))  # what is wrong with it is said elsewhere
    return float(getattr(fault, "per_s", 0.0))
