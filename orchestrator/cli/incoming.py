"""A campaign on its way in at the command line: file checked, id and seed drawn, folder of results proved."""

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.campaign.load import LoadedCampaign, load_campaign
from orchestrator.cli.exits import EXIT_USAGE, fail, fail_file
from orchestrator.cli.options import labels_of, max_time_s
from orchestrator.errors import CampaignFileError, ShakeoutError
from orchestrator.local_processes import SPACE_BYTES, unwritable
from orchestrator.results.results import REPORT
from orchestrator.submit.data_checks import prove_data
from orchestrator.submit.submit import draw_seed, golden_cases, new_id, refuse_unfinished
from workers.contract.errors import ShakeoutWorkerError


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for beside the file. `max_time_s`: 0 for no limit."""

    id: str
    seed: int
    labels: Mapping[str, str]
    max_time_s: float


def load(file: Path, sets: Sequence[str], *, local: bool) -> LoadedCampaign:
    """The checked campaign; every problem at once and exit 2 where there is any; warnings on stderr."""
    try:
        loaded = load_campaign(file, sets=tuple(sets))
        refuse_unfinished(loaded.campaign, local=local)
        golden_cases(loaded.campaign, file.parent)
        prove_data(loaded)
    except CampaignFileError as error:
        fail_file(file, error)
    except (ShakeoutError, ShakeoutWorkerError) as error:
        fail(str(error), EXIT_USAGE)
    for warning in loaded.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return loaded


def asked_of(loaded: LoadedCampaign, *, labels: Sequence[str], max_time: str) -> Asked:
    """What was typed, read; a new id, a seed where the file names none; exit 2 where it cannot be read."""
    campaign = loaded.campaign
    return Asked(
        id=new_id(campaign.campaign, now_s=time.time()),
        seed=campaign.seed if campaign.seed is not None else draw_seed(),
        labels=labels_of(labels),
        max_time_s=max_time_s(max_time),
    )


def empty_folder(folder: Path) -> Path:
    """The results' folder, made and proved to have room; what was made is gone again where it has none."""
    if (folder / REPORT).exists():
        fail(f"{folder} already holds a report: say another --out", EXIT_USAGE)
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        why = unwritable(folder, size_bytes=SPACE_BYTES)
    except OSError as error:
        why = error.strerror or str(error)
    if why:
        with suppress(OSError):
            for place in made:
                place.rmdir()
        fail(f"results cannot be written to {folder}: {why}; say --out with a folder that can", EXIT_USAGE)
    return folder.absolute()
