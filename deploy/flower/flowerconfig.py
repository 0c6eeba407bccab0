"""Flower for a Shakeout fleet: read by `shakeout flower`, here and in a container.

Each value can be set by a variable of the environment, which wins: FLOWER_MAX_TASKS, FLOWER_NATURAL_TIME, ...
The login is no part of it: SHAKEOUT_FLOWER_PASSWORD, or FLOWER_AUTH and what OAuth needs beside it.
"""
# ruff: noqa: INP001  # read by Flower, no package

import time
from typing import Any

tasks_columns = "name,state,result,worker,received,runtime,uuid"
auto_refresh = True

# all in memory; the oldest tasks go first
max_tasks = 10_000
max_workers = 1_000
purge_offline_workers = 60

# a fleet is steered by `shakeout abort`, `halt` and `drain`: workers take no orders from Celery
read_only = True


SILENT_AFTER_S = 30
"""Shards that run say something every 10 s; what has not for so long has lost its worker, or its Redis."""
ENDED = ("SUCCESS", "FAILURE", "REVOKED", "REJECTED")


def format_task(task: Any) -> Any:
    """A task as people read it: its words without the quotes of Python, why it failed, no wire format."""
    silent_s = time.time() - (task.timestamp or 0)
    if task.state not in ENDED and silent_s > SILENT_AFTER_S:
        task.state = "SILENT"
        task.result = f"{task.result or ''} · nothing heard for {silent_s:.0f} s".removeprefix(" · ")
    if task.exception and not task.result:
        task.result = task.exception
    if isinstance(task.result, str):
        task.result = task.result.strip("'\"")
    task.args = task.kwargs = ""
    return task
