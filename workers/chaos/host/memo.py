"""What a fault has to know of the host as it was, to undo it: a file in the scene's folder.

It is on disk before the fault is injected, and goes with the folder once nothing is left.
"""

import os
from pathlib import Path
from typing import TypeVar

import msgspec

from workers.chaos.contract import Scene
from workers.contract.errors import FaultError

_NAME = "memo.json"

T = TypeVar("T")


def keep(scene: Scene, memo: msgspec.Struct) -> None:
    """Write it durably, in one step. Raises FaultError where the disk refuses."""
    path = Path(scene.folder) / _NAME
    new = path.with_suffix(".new")
    try:
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(memo))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise FaultError(f"{path}: {error.strerror}; without it nothing could be put back") from error


def recall(scene: Scene, kind: type[T]) -> T | None:
    """Read it; None where there is none: nothing was done, or all is undone."""
    path = Path(scene.folder) / _NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise FaultError(
            f"{path} cannot be read: {error}; put back by hand what the fault changed"
        ) from error
