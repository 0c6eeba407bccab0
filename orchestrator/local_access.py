"""The way to a run on this machine for its owner's other commands: `approve`, `note`, `done` beside `run`."""

import json
import os
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from orchestrator.local_processes import Fleet

ACCESS = "access.json"
"""In a run's work folder, readable by its owner alone; gone with the run."""


@dataclass(frozen=True, slots=True)
class Access:
    """A run that goes on: its campaign, its Redis, and the key that its owner's words are signed with."""

    campaign: str
    broker: str = field(repr=False)
    key: str = field(repr=False)


def leave_access(fleet: Fleet, campaign: str) -> None:
    """Let other commands of this user reach the fleet, by the run's folder. Raises OSError."""
    (key,) = fleet.keys.keys
    body = json.dumps({"campaign": campaign, "broker": fleet.broker, "key": f"{key.name}={key.secret}"})
    opener = partial(os.open, mode=0o600)
    with open(fleet.work / ACCESS, "w", opener=opener, encoding="utf-8") as file:  # the mode
        file.write(body)


def read_access(folder: Path) -> Access | None:
    """The way to the run that goes on in a folder; None where none does."""
    try:
        said = json.loads((folder / "work" / ACCESS).read_text("utf-8"))
        return Access(str(said["campaign"]), str(said["broker"]), str(said["key"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
