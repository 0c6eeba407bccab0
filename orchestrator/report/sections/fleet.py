"""Who took part: workers, their clocks against the common one, and the attempts that did not end well."""

from collections import Counter
from typing import Any

from orchestrator.results.outcome import Outcome
from workers.contract.broker.names import task_page

MOST_REFUSALS = 50
MOST_TASKS = 100


def fleet(report: dict[str, Any], outcome: Outcome) -> dict[str, Any]:
    """Workers with what they ran, and how far the generator itself was in the way of each activity."""
    del outcome
    attempts: dict[str, int] = {}
    for said in report["activities"].values():
        for attempt in said["attempts"]:
            attempts[attempt["worker"]] = attempts.get(attempt["worker"], 0) + 1
    return {
        "workers": [
            one | {"attempts": attempts.get(one["worker"], 0), "gpu_words": _gpus(one)}
            for one in report["fleet"]
        ],
        "hosts": _hosts(report["fleet"]),
        "refusals": report["refusals"][:MOST_REFUSALS],
        "more_refusals": max(0, len(report["refusals"]) - MOST_REFUSALS),
        "tasks": _tasks(report)[:MOST_TASKS],
        "generators": [
            (name, said["generator"], said["achieved"], said["coverage"])
            for name, said in report["activities"].items()
            if "generator" in said
        ],
    }


def _tasks(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Each attempt's words and its page in Flower, where the fleet had one."""
    if "flower" not in report:
        return []
    return [
        (
            f"{name} {one['shard'] + 1}/{one['of']}" + (f" ({one['number']})" if one["number"] > 1 else ""),
            task_page(report["flower"], report["campaign"]["id"], one["attempt"]),
        )
        for name, said in report["activities"].items()
        for one in said["attempts"]
    ]


def _gpus(worker: dict[str, Any]) -> str:
    """`2 × NVIDIA H200, driver 550.54.15`; why there is none where there is none."""
    names = [f"{number} × {name}" for name, number in Counter(worker["gpus"]).items()]
    driver = worker["driver"]
    said = f"driver {driver}" if driver[:1].isdigit() else driver
    return ", ".join([*(names or ["none"]), *([said] if said else [])])


def _hosts(workers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each host once, with those of its workers that ran anything; two Pythons on one host are two rows."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for one in workers:
        key = (one["host"], one["kernel"], one["cpu"], one["python"])
        row = found.setdefault(key, {**one, "names": []})
        row["names"].append(one["worker"])
    return list(found.values())
