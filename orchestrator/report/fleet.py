"""Who took part, in report.json: workers with their hosts, GPUs, clocks; and what was said to no effect."""

from typing import Any

from orchestrator.results.outcome import Outcome
from workers.contract import facts as f
from workers.contract.calibration import Calibration


def fleet_sections(outcome: Outcome) -> list[dict[str, Any]]:
    """The workers that ran anything, as they last showed themselves.

    `gpus`: names of what work could use, so that one with MIG on stands as its instances; `driver`: its
    version, or why there is no GPU to be seen.
    """
    return [
        {
            "worker": card.worker,
            "host": card.host,
            "clock_offset_s": card.offset_s,
            "clock_uncertainty_s": card.uncertainty_s,
            "slots": card.slots,
            "gpus": [name for gpu in card.gpus for name in gpu.usable],
            "driver": card.driver,
            "labels": list(card.labels),
            "cores": card.cores,
            "memory_bytes": card.memory_bytes,
            "kernel": card.kernel,
            "cpu": card.cpu,
            "python": card.python,
            "version": card.version,
            "calibration": _calibration(card.calibration),
        }
        for card in outcome.fleet
    ]


def _calibration(one: Calibration | None) -> dict[str, Any] | None:
    return None if one is None else {name: getattr(one, name) for name in ("requests_per_s", "streams", "at")}


def refusal_sections(outcome: Outcome) -> list[dict[str, Any]]:
    """Orders, remarks and tasks that did not count, in the order in which they were refused."""
    return [
        {"at": one.at_s, "what": "task", "by": one.worker, "why": f"{one.attempt}: {one.why}"}
        if isinstance(one, f.TaskRefused)
        else {"at": one.at_s, "what": one.what, "by": one.by, "why": one.why}
        for one in outcome.state.refusals
    ]
