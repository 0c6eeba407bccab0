"""Where results live: parts while a campaign runs, its report when it has ended; any fsspec URL."""

import json
import posixpath
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec

from orchestrator import urls
from orchestrator.campaign.models import Campaign
from orchestrator.plan import Plan
from orchestrator.report.masking import masked_set, masked_text
from orchestrator.results.sealing import SEAL, sealed
from workers.contract import facts as f
from workers.contract.broker import names
from workers.contract.broker.connection import masked
from workers.contract.facts import encode_fact
from workers.contract.signed.signing import NO_KEYS, Keys

if TYPE_CHECKING:
    from orchestrator.results.outcome import Outcome

REPORT = "report.json"
SAMPLES = "samples"
"""Folder of the samples: files ACTIVITY-SHARD-ATTEMPT-NNN.parquet, one row a request."""
ERROR = "error.txt"
"""Name of the result of a campaign whose results could not be made or written: why not."""
LEFT_OUT = "left-out.txt"
"""Name of the result that names those which are too large for Redis, and where they are."""
MOST_BYTES = 16 * 1024 * 1024
"""A larger result stays at the runs URL alone: Redis holds a day's campaigns in memory."""

MARKER = names.RUNS_MARKER
DECIDED = "decided"
"""How the files begin by which a journal that was cut back in Redis is known."""
_WRITER = ThreadPoolExecutor(1, thread_name_prefix="results")


@dataclass(frozen=True, slots=True)
class Results:
    """`runs`: URL of the folder of all runs.

    `folder`: the very folder of the one run, where that is fixed. `keys`: they seal what goes to Redis.
    """

    runs: str
    folder: str | None = None
    keys: Keys = field(default=NO_KEYS, repr=False)

    def place(self, campaign: str) -> str:
        """URL of a campaign's folder."""
        return self.folder if self.folder is not None else posixpath.join(self.runs, campaign)

    def samples(self, campaign: str) -> str:
        """URL of the folder that workers put a campaign's samples into."""
        return posixpath.join(self.place(campaign), SAMPLES)

    @property
    def remote(self) -> bool:
        """Whether it is a store that other machines keep, and that may be away for a while."""
        return self.folder is None and "://" in self.runs

    def marker(self) -> str:
        """What the leader wrote here, "" where nothing is: a standby must find it too."""
        try:
            return urls.get(posixpath.join(self.runs, MARKER)).decode()
        except OSError:
            return ""

    def mark(self, marker: str) -> None:
        """Say which fleet's leader writes here. Raises OSError, UsageError."""
        urls.put(posixpath.join(self.runs, MARKER), marker.encode())

    def has_report(self, campaign: str) -> bool:
        """Whether a campaign's report stands already. Raises OSError."""
        return urls.exists(posixpath.join(self.place(campaign), REPORT))

    def put_part(self, campaign: str, name: str, body: bytes) -> None:
        """Write an interval's part; whoever reads it sees all of it or nothing."""
        urls.put(posixpath.join(self.place(campaign), "parts", name), body)

    def part(self, campaign: str, name: str) -> bytes:
        """Read a part back. Raises FileNotFoundError."""
        return urls.get(posixpath.join(self.place(campaign), "parts", name))

    def note_decided(self, campaign: str, number: int, *, leader: str, server: str) -> None:
        """Keep how many decisions of a campaign stood in this Redis when a leader let a shard begin.

        `server`: its run id. Raises OSError.
        """
        place = posixpath.join(self.place(campaign), "parts", f"{DECIDED}-{leader}")
        urls.put(place, f"{number} {server}".encode())

    def decided(self, campaign: str, *, server: str) -> int:
        """The most that any leader noted of this Redis: another may have lost some. Raises OSError."""
        folder = posixpath.join(self.place(campaign), "parts")
        noted = [name for name in urls.names_in(folder) if name.startswith(f"{DECIDED}-")]
        said = (urls.get(posixpath.join(folder, name)).decode().partition(" ") for name in noted)
        return max((int(number) for number, _, where in said if where == server), default=0)

    def has_begun(self, campaign: str) -> bool:
        """Whether a shard of it was sent to a worker, or it has ended; of any Redis. Raises OSError."""
        folder = posixpath.join(self.place(campaign), "parts")
        noted = any(name.startswith(f"{DECIDED}-") for name in urls.names_in(folder))
        return noted or self.has_report(campaign)

    def start_write(self, outcome: "Outcome") -> "Future[dict[str, bytes]]":
        """`write` in a thread beside, one campaign after the other."""
        return _WRITER.submit(self.write, outcome)

    def write(self, outcome: "Outcome") -> dict[str, bytes]:
        """Make and write every result of an ended campaign.

        Returns those small enough to stay in Redis, by name.
        """
        # pandas is wanted at the end only, and takes half a second to load
        from orchestrator.report.build import build_report, validate_report  # noqa: PLC0415
        from orchestrator.report.html import render_html  # noqa: PLC0415
        from orchestrator.report.intervals import intervals_parquet  # noqa: PLC0415
        from orchestrator.report.junit import render_junit  # noqa: PLC0415
        from orchestrator.report.markdown import render_markdown  # noqa: PLC0415
        from orchestrator.report.post_mortem import post_mortem  # noqa: PLC0415
        from orchestrator.results.past import past_runs  # noqa: PLC0415
        from orchestrator.results.samples import stored_samples  # noqa: PLC0415

        said = outcome.state.submitted
        assert said is not None  # noqa: S101  # no campaign begins without it
        if any(one.samples for phase in outcome.plan.phases for one in phase.activities):
            outcome = replace(outcome, samples=stored_samples(self.samples(outcome.id)))
        if any(one.kind == "chaos" for phase in outcome.plan.phases for one in phase.activities):
            runs = posixpath.dirname(self.folder) if self.folder is not None else self.runs
            past = past_runs(runs, name=outcome.campaign.campaign, but=outcome.id)
            outcome = replace(outcome, history=past)
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
            **({name: page.encode() for name, page in post_mortem(report).items()}),
            # the last: where it stands, all results do
            REPORT: json.dumps(report, indent=1, ensure_ascii=False).encode(),
        }
        for name, body in files.items():
            urls.put(posixpath.join(self.place(outcome.id), name), body)
        sample_files = sum(count for _, count in outcome.samples.values())
        kept = _small_enough(files, place=self.place(outcome.id), sample_files=sample_files)
        ended = outcome.state.ended
        verdict = ended.verdict if ended is not None else outcome.verdict.verdict
        return sealed(kept, campaign=outcome.id, verdict=verdict, keys=self.keys)

    def drop_parts(self, campaign: str) -> None:
        """Parts have served once the campaign has left Redis; until then a successor may need them."""
        urls.remove_folder(posixpath.join(self.place(campaign), "parts"))


def samples_unreached(plan: Plan, runs: str) -> str:
    """Why the samples of a plan would not get from its workers to `runs`; "" where they do or none are kept.

    A plain path is a folder of the coordinator's host alone: a worker elsewhere would fill its own disk.
    """
    if "://" in runs or not any(one.samples for phase in plan.phases for one in phase.activities):
        return ""
    return (
        f"`samples` needs a place for results that workers reach as well, and the coordinator keeps them at "
        f"{masked(runs)}: start it with --runs s3://BUCKET/PATH or another store, or with "
        "--runs file:///FOLDER where all hosts have that folder"
    )


def report_alone(files: Mapping[str, bytes], *, place: str) -> dict[str, bytes]:
    """What is stored of results where Redis has no room for all: the report, and where the others are."""
    others = "".join(
        f"{name}: Redis had no room for it, only at {masked(posixpath.join(place, name))}\n"
        for name in files
        if name not in (REPORT, LEFT_OUT, SEAL)
    )
    left_out = files.get(LEFT_OUT, b"") + others.encode()
    return {name: body for name, body in files.items() if name == REPORT} | {LEFT_OUT: left_out}


def _small_enough(files: Mapping[str, bytes], *, place: str, sample_files: int = 0) -> dict[str, bytes]:
    """What may stay in Redis for a day; what is too large for that is named in LEFT_OUT."""
    kept = {name: body for name, body in files.items() if len(body) <= MOST_BYTES or name == REPORT}
    left_out = [
        f"{name}: {len(body) / 2**20:.0f} MiB, only at {masked(posixpath.join(place, name))}\n"
        for name, body in files.items()
        if name not in kept
    ]
    if sample_files:
        where = masked(posixpath.join(place, SAMPLES))
        left_out.append(f"{SAMPLES}/: {sample_files} files, only at {where}\n")
    return kept | ({LEFT_OUT: "".join(left_out).encode()} if left_out else {})


def _shown(fact: f.Fact, campaign: Campaign) -> f.Fact:
    """A fact as it may leave the fleet: literal header values and passwords in urls are masked.

    No signature leaves it: by one over the whole text somebody could try what was masked, or a weak key.
    """
    fact = msgspec.structs.replace(fact, signature="")
    match fact:
        case f.Submitted():
            sets = tuple(masked_set(one, campaign) for one in fact.sets)
            text = masked_text(fact.text, campaign)
            return msgspec.structs.replace(fact, text=text, sets=sets)
        case f.Accepted():
            return msgspec.structs.replace(fact, submission="")
        case _:
            return fact
