"""What is taken from a worker's queue: tasks as a coordinator sends them, made anew; all else is passed over.

Whoever may write to Redis may write to the queue. Celery and kombu would do much of what a message says (wait
until a moment, unpack it, call others when it is over), and end the worker where one is broken.
"""

import base64
import json
import uuid
from typing import Any, Final

from workers.contract.broker import names
from workers.contract.errors import ContractError

MOST_BYTES: Final = 16 * 1024 * 1024
"""Of one message; a task has some 2 KiB, or more where it names the golden cases that are done."""
MOST_SHOWN: Final = 300
"""Characters of what Flower is to show of a task."""
_OURS: Final = names.TASK.format(kind="")
_SHOWN: Final = ("argsrepr", "shadow")


class MessageError(ContractError):
    """What stood in the queue is no task of ours."""


def parsed(text: str) -> object:
    """An entry of a queue; None where it cannot be read at all."""
    try:
        return json.loads(text) if len(text) <= MOST_BYTES else None
    except (ValueError, RecursionError):
        return None


def task_message(entry: object, *, queue: str) -> dict[str, Any]:
    """The message of a task with nothing but its name, its id, its argument, and how to show it.

    Raises MessageError.
    """
    try:
        return _task_message(entry, queue)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise MessageError("a message that is no task of a coordinator's is passed over") from error


def _task_message(entry: Any, queue: str) -> dict[str, Any]:
    said = entry["headers"]
    task, id_ = _text(said["task"]), _text(said["id"])
    if not task.startswith(_OURS):
        raise ValueError(task)
    (argument,), _, _ = json.loads(base64.b64decode(entry["body"], validate=True))
    shown = {name: _text(said.get(name) or "")[:MOST_SHOWN] for name in _SHOWN}
    tag = str(uuid.uuid4())  # by it kombu finds what has been taken
    return {
        "body": base64.b64encode(json.dumps([[argument], {}, {}]).encode()).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"lang": "py", "task": task, "id": id_, "root_id": id_, "ignore_result": True, **shown},
        "properties": {
            "correlation_id": id_,
            "delivery_tag": tag,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "body_encoding": "base64",
        },
    }


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("it is no text")
    return value
