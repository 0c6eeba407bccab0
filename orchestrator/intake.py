"""What the shards of one campaign have sent, added up and kept: snapshot streams in, parts out.

Each snapshot counts once, whoever leads: parts are written first, then the checkpoint that names them, and
only then are the streams trimmed.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from orchestrator.aggregate.parts import encode_part, restore
from orchestrator.aggregate.totals import Aggregate, combined
from orchestrator.facts import Attempt
from orchestrator.results import Results
from orchestrator.store import Shard, Store, decode_snapshot

if TYPE_CHECKING:
    from workers.contract.snapshot import Snapshot

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Intake:
    """`interval`: what came since the last checkpoint. `read`: shard -> last snapshot entry id read.

    `parts`: how many the checkpoint names.
    """

    campaign: str
    store: Store
    results: Results
    aggregate: Aggregate = field(default_factory=Aggregate)
    interval: Aggregate = field(default_factory=Aggregate)
    read: dict[Shard, str] = field(default_factory=dict)
    parts: int = 0

    def expect(self, shard: Shard) -> None:
        """Read this shard's stream from now on."""
        self.read.setdefault(shard, "0-0")

    def take(self, shards: Iterable[Shard]) -> None:
        """Add up what is new in the streams of these shards."""
        fresh: dict[str, list[Snapshot]] = {}
        wanted = {shard: self.read[shard] for shard in shards if shard in self.read}
        for shard, id_, body in self.store.snapshots(self.campaign, wanted):
            self.read[shard] = id_
            try:
                snapshot = decode_snapshot(body)
            except msgspec.DecodeError as error:
                self._warn(shard, f"snapshot {id_} cannot be read and counts as a hole: {error}")
                continue
            if self.aggregate.of(shard[0]).note(snapshot):
                self.interval.of(shard[0]).note(snapshot)
                fresh.setdefault(shard[0], []).append(snapshot)
        for activity, snapshots in fresh.items():
            delta = self.aggregate.of(activity).bounded(combined(snapshots))
            self.aggregate.of(activity).add(delta)
            self.interval.of(activity).add(delta)

    def keep(self) -> bool:
        """Make everything taken so far durable, then let go of it in the streams; False: there was nothing.

        Raises OSError where no part can be written now (all stays in the streams until it can),
        NotLeadingError.
        """
        if not self.interval.activities:
            return False
        # whose part it is stands in its name: a stalled leader cannot write over its successor's
        name = f"{self.parts + 1:06d}-{self.store.epoch}-{self.store.nonce[:8]}.part"
        self.results.put_part(self.campaign, name, encode_part(self.interval))
        trim = [(shard, id_) for shard, id_ in self.read.items() if id_ != "0-0"]
        totals = msgspec.json.encode({key: one.outcomes() for key, one in self.aggregate.activities.items()})
        self.store.checkpoint(self.campaign, totals=totals, part=name, seqs=self.aggregate.seqs(), trim=trim)
        self.parts += 1
        self.interval = Aggregate()
        return True

    def restore(self, attempts: Iterable[Attempt]) -> None:
        """Stand where the last checkpoint stood. `attempts`: in the order in which they were placed."""
        names = self.store.parts(self.campaign)
        self.parts = len(names)
        self.aggregate = restore(self.results.part(self.campaign, name) for name in names)
        for attempt in attempts:
            seen = self.aggregate.of(attempt.activity).attempts.get(attempt.id)
            if seen is not None:
                self.read[attempt.activity, attempt.shard] = f"{attempt.number}-{seen.seq}"

    def _warn(self, shard: Shard, words: str) -> None:
        activity, number = shard
        log.warning("campaign %s, %s, shard %d: %s", self.campaign, activity, number, words)
        for whole in (self.aggregate, self.interval):
            whole.of(activity).warn(f"shard {number + 1}: {words}")
