"""What the shards of one campaign have sent, added up and kept: snapshot streams in, parts out.

Each snapshot counts once, whoever leads: parts are written first, then the checkpoint that names them, and
only then are the streams trimmed.
"""

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from orchestrator.aggregate.parts import encode_part, restore
from orchestrator.aggregate.totals import Aggregate, combined
from orchestrator.coordinator.admission import RefusedError
from orchestrator.facts import Attempt
from orchestrator.results.results import Results
from orchestrator.store.snapshot_streams import decode_snapshot, most_of_each
from orchestrator.store.store import Store, Stream
from workers.contract.broker.names import snapshots as stream_of
from workers.contract.signed.signing import NO_KEYS, Keys, SignatureError, check_seal, seal
from workers.contract.signed.trust import open_snapshot

if TYPE_CHECKING:
    from workers.contract.snapshot import Snapshot

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Intake:
    """`keys`: of the workers, which seal what they send. `interval`: what came since the last checkpoint.

    `read`: stream -> last snapshot entry id read. `names`: of the parts, in order, as the
    checkpoint has them: sealed.
    `trimmed`: stream -> up to where this leader has let go of it.
    """

    campaign: str
    store: Store
    results: Results
    keys: Keys = NO_KEYS
    aggregate: Aggregate = field(default_factory=Aggregate)
    interval: Aggregate = field(default_factory=Aggregate)
    read: dict[Stream, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    trimmed: dict[Stream, str] = field(default_factory=dict)

    def expect(self, stream: Stream) -> None:
        """Read this attempt's stream from now on."""
        self.read.setdefault(stream, "0-0")

    def take(self, streams: Iterable[Stream]) -> bool:
        """Add up what is new in these streams; True where there may be more."""
        taken: Counter[Stream] = Counter()
        fresh: dict[str, list[Snapshot]] = {}
        wanted = {stream: self.read[stream] for stream in streams if stream in self.read}
        for stream, id_, body in self.store.snapshots(self.campaign, wanted):
            self.read[stream] = id_
            taken[stream] += 1
            try:
                place = stream_of(self.campaign, *stream)
                snapshot = decode_snapshot(open_snapshot(body, stream=place, id_=id_, keys=self.keys))
            except (msgspec.DecodeError, SignatureError) as error:
                self._warn(stream, f"snapshot {id_} cannot be read and counts as a hole: {error}")
                continue
            if self.aggregate.of(stream[0]).note(snapshot):
                self.interval.of(stream[0]).note(snapshot)
                fresh.setdefault(stream[0], []).append(snapshot)
        for activity, snapshots in fresh.items():
            delta = self.aggregate.of(activity).bounded(combined(snapshots))
            self.aggregate.of(activity).add(delta)
            self.interval.of(activity).add(delta)
        return max(taken.values(), default=0) >= most_of_each(len(wanted))

    def keep(self) -> bool:
        """Make everything taken so far durable, then let go of it in the streams; False: there was nothing.

        Raises OSError where no part can be written now (all stays in the streams until it can),
        NotLeadingError.
        """
        if not self.interval.activities:
            return False
        # whose part it is stands in its name: a stalled leader cannot write over its successor's
        name = f"{len(self.names) + 1:06d}-{self.store.epoch}-{self.store.nonce[:8]}.part"
        self.results.put_part(self.campaign, name, encode_part(self.interval))
        name = self._sealed(name)
        trim = {
            stream: id_
            for stream, id_ in self.read.items()
            if id_ != "0-0" and self.trimmed.get(stream) != id_
        }
        seqs = self.interval.seqs()  # of all others the checkpoints before have them
        self.store.checkpoint(self.campaign, totals=self._totals(), part=name, seqs=seqs, trim=trim.items())
        self.trimmed.update(trim)
        self.names.append(name)
        self.interval = Aggregate()
        return True

    def name_again(self) -> None:
        """Name the parts that the checkpoint lacks: Redis lost that they are there, the runs URL has them.

        Raises NotLeadingError.
        """
        there = frozenset(self.store.parts(self.campaign))
        newer = self.interval.seqs()
        seqs = {attempt: seq for attempt, seq in self.aggregate.seqs().items() if attempt not in newer}
        for name in self.names:
            if name not in there:
                self.store.checkpoint(self.campaign, totals=self._totals(), part=name, seqs=seqs, trim=())

    def _totals(self) -> bytes:
        return msgspec.json.encode({key: one.outcomes() for key, one in self.aggregate.activities.items()})

    def keep_whole(self) -> None:
        """Keep all that was ever taken as the one part there is: the checkpoints before are lost.

        Raises OSError, NotLeadingError; what came since the last one is then kept as ever.
        """
        interval, self.interval, self.names = self.interval, self.aggregate, []
        self.trimmed.clear()
        try:
            self.keep()
        finally:
            if self.interval is self.aggregate:
                self.interval = interval

    def restore(self, attempts: Iterable[Attempt]) -> None:
        """Stand where the last checkpoint stood. `attempts`: in the order in which they were placed.

        Raises RefusedError where the checkpoint names other parts than leaders did: what they add up to was
        not measured.
        """
        self.names = list(self.store.parts(self.campaign))
        files = [self._file(name, place) for place, name in enumerate(self.names, start=1)]
        self.aggregate = restore(self.results.part(self.campaign, file) for file in files)
        for attempt in attempts:
            seen = self.aggregate.of(attempt.activity).attempts.get(attempt.id)
            if seen is not None:
                self.read[attempt.activity, attempt.shard, attempt.number] = f"{attempt.number}-{seen.seq}"

    def _sealed(self, file: str) -> str:
        token = seal(f"{self.campaign}\n{file}".encode(), purpose="part", keys=self.keys)
        return f"{file} {token}" if token else file

    def _file(self, name: str, place: int) -> str:
        """The file of the part that is named at this place, from 1. Raises RefusedError."""
        file, _, token = name.partition(" ")
        try:
            check_seal(token, f"{self.campaign}\n{file}".encode(), purpose="part", keys=self.keys)
        except SignatureError as error:
            raise RefusedError(f"the checkpoint was altered: {error}") from error
        if self.keys.keys and int(file.partition("-")[0]) != place:
            raise RefusedError(f"the checkpoint was altered: part {place} of what was measured is another")
        return file

    def _warn(self, stream: Stream, words: str) -> None:
        activity, number, _ = stream
        log.warning("campaign %s, %s, shard %d: %s", self.campaign, activity, number, words)
        for whole in (self.aggregate, self.interval):
            whole.of(activity).warn(f"shard {number + 1}: {words}")
