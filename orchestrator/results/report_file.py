"""A report.json as it is read again: checked, typed, and no more of it than is needed."""

from pathlib import Path
from typing import Literal

import msgspec

from orchestrator.errors import UsageError

SCHEMA = 1
MOST_BYTES = 512 * 1024 * 1024
"""A report holds numbers, no samples; what is larger is none of ours."""


Verdict = Literal["pass", "fail", "inconclusive", "invalid"]


class StoredCampaign(msgspec.Struct, frozen=True):
    """Which campaign a report is of. `ended`: ISO 8601, UTC. `aborted_by`: the person, if one stopped it."""

    id: str
    name: str
    submitted_by: str
    ended: str
    aborted_by: str | None = None


class StoredSlo(msgspec.Struct, frozen=True):
    """One judged expression; `observed` (None: not measured) in `unit`, as report.json has them."""

    slo: str
    place: str
    activity: str
    verdict: Verdict
    why: str
    unit: str
    observed: float | None


class StoredReport(msgspec.Struct, frozen=True):
    """An ended campaign, as its report tells it."""

    schema: int
    campaign: StoredCampaign
    verdict: Verdict
    reasons: tuple[str, ...]
    exit_code: Literal[0, 1, 3, 4, 5]
    slos: tuple[StoredSlo, ...]


class _Version(msgspec.Struct, frozen=True):
    schema: int


def report_file(place: Path) -> Path:
    """The report.json of a folder of results, or the very file. Raises UsageError where there is none."""
    file = place / "report.json" if place.is_dir() else place
    if not file.is_file():
        why = "no report.json" if place.is_dir() else "no such file or folder"
        raise UsageError(f"{place}: {why}")
    return file


def read_report(file: Path) -> StoredReport:
    """Read a report. Raises UsageError that says what is wrong with it."""
    try:
        if file.stat().st_size > MOST_BYTES:
            raise UsageError(f"{file} is no report: it is larger than {MOST_BYTES // 2**20} MiB")
        body = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}") from None
    try:
        version = msgspec.json.decode(body, type=_Version).schema
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is no report of Shakeout: {error}") from None
    if version != SCHEMA:
        raise UsageError(f"{file} has schema {version}; this version of Shakeout reads schema {SCHEMA}")
    try:
        return msgspec.json.decode(body, type=StoredReport)
    except msgspec.DecodeError as error:
        raise UsageError(f"{file} is broken: {error}") from None
