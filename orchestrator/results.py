"""Where results live: parts while a campaign runs, its report when it has ended; any fsspec URL."""

import json
import posixpath
import secrets
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import fsspec
import msgspec

from orchestrator.campaign.models import Campaign
from orchestrator.outcome import Outcome
from orchestrator.report.masking import masked_set, masked_text
from workers.contract import facts as f
from workers.contract.facts import encode_fact

ERROR = "error.txt"
"""Name of the result of a campaign whose results could not be made or written: why not."""


MARKER = ".shakeout"
_WRITER = ThreadPoolExecutor(1, thread_name_prefix="results")


@dataclass(frozen=True, slots=True)
class Results:
    """`runs`: URL of the folder of all runs.

    `folder`: the very folder of the one run, where that is fixed.
    """

    runs: str
    folder: str | None = None

    def place(self, campaign: str) -> str:
        """URL of a campaign's folder."""
        return self.folder if self.folder is not None else posixpath.join(self.runs, campaign)

    def marker(self) -> str:
        """What the leader wrote here, "" where nothing is: a standby must find it too."""
        system, path = _at(posixpath.join(self.runs, MARKER))
        try:
            return bytes(system.cat_file(path)).decode()
        except OSError:
            return ""

    def mark(self, marker: str) -> None:
        """Say which fleet's leader writes here. Raises OSError."""
        self._put(posixpath.join(self.runs, MARKER), marker.encode())

    def put_part(self, campaign: str, name: str, body: bytes) -> None:
        """Write an interval's part; whoever reads it sees all of it or nothing."""
        self._put(posixpath.join(self.place(campaign), "parts", name), body)

    def part(self, campaign: str, name: str) -> bytes:
        """Read a part back. Raises FileNotFoundError."""
        system, path = _at(posixpath.join(self.place(campaign), "parts", name))
        body: bytes = system.cat_file(path)
        return body

    def start_write(self, outcome: Outcome) -> "Future[dict[str, bytes]]":
        """`write` in a thread beside, one campaign after the other."""
        return _WRITER.submit(self.write, outcome)

    def write(self, outcome: Outcome) -> dict[str, bytes]:
        """Make and write every result of an ended campaign.

        Returns those small enough to stay in Redis, by name.
        """
        # pandas is wanted at the end only, and takes half a second to load
        from orchestrator.report.build import build_report, validate_report  # noqa: PLC0415
        from orchestrator.report.html import render_html  # noqa: PLC0415
        from orchestrator.report.intervals import intervals_parquet  # noqa: PLC0415
        from orchestrator.report.junit import render_junit  # noqa: PLC0415
        from orchestrator.report.markdown import render_markdown  # noqa: PLC0415

        said = outcome.state.submitted
        assert said is not None  # noqa: S101  # no campaign begins without it
        report = build_report(outcome)
        validate_report(report)
        files = {
            "campaign.yaml": masked_text(said.text, outcome.campaign).encode(),
            "journal.jsonl": b"".join(
                encode_fact(_shown(entry.fact, outcome.campaign)) + b"\n" for entry in outcome.journal
            ),
            "report.html": render_html(report, outcome).encode(),
            "junit.xml": render_junit(report).encode(),
            "report.md": render_markdown(report).encode(),
            "intervals.parquet": intervals_parquet(outcome),
            # the last: where it stands, all results do
            "report.json": json.dumps(report, indent=1, ensure_ascii=False).encode(),
        }
        for name, body in files.items():
            self._put(posixpath.join(self.place(outcome.id), name), body)
        return files

    def drop_parts(self, campaign: str) -> None:
        """Parts have served once the campaign has left Redis; until then a successor may need them."""
        system, path = _at(posixpath.join(self.place(campaign), "parts"))
        if system.exists(path):
            system.rm(path, recursive=True)

    def _put(self, url: str, body: bytes) -> None:
        system, path = _at(url)
        system.makedirs(posixpath.dirname(path), exist_ok=True)
        new = f"{path}.{secrets.token_hex(4)}.new"  # a leader that stalled may write the same file
        try:
            system.pipe_file(new, body)
            system.mv(new, path)
        except OSError:
            with suppress(OSError):
                system.rm(new)
            raise


def _shown(fact: f.Fact, campaign: Campaign) -> f.Fact:
    """A fact as it may leave the fleet: literal header values and passwords in urls are masked."""
    if not isinstance(fact, f.Submitted):
        return fact
    sets = tuple(masked_set(one, campaign) for one in fact.sets)
    return msgspec.structs.replace(fact, text=masked_text(fact.text, campaign), sets=sets)


def _at(url: str) -> tuple[Any, str]:
    """The file system behind a URL (a plain path is local) and the path in it."""
    system, path = fsspec.core.url_to_fs(url)
    return system, str(path)
