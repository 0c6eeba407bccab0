"""An attempt's samples, from where its engine leaves them to the runs URL, or why there are none."""

import logging
import posixpath
from dataclasses import dataclass
from pathlib import Path

import msgspec

from workers.attempts.mailbox import Worker
from workers.contract.broker import names
from workers.contract.facts import Exited
from workers.contract.samples import NOT_SAMPLED
from workers.contract.snapshot import Snapshot
from workers.contract.spec import LoadSpec, RegressionSpec
from workers.link import AWAY
from workers.samples.runs_url import StoreError, get

STORED_WITHIN_S = 20.0
"""At an attempt's end: for its last file, and for what waited for a URL that was away."""
DRAINED_WITHIN_S = 4.0
"""The same in a worker that was told to end."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sampling:
    """`stem`: where the engine writes; None where it does not, and `why` says it if it should."""

    stem: Path | None = None
    why: str = ""


def begin_sampling(spec: LoadSpec | RegressionSpec, worker: Worker) -> Sampling:
    """A place for the samples of an attempt that asks for them."""
    if not isinstance(spec, LoadSpec) or spec.samples is None:
        return Sampling()
    why = _not_shared(spec.samples.url, worker)
    if why:
        log.warning("%s", why)
        return Sampling(None, why)
    try:
        return Sampling(worker.samples.stem())
    except OSError as error:
        return Sampling(None, f"samples cannot be written on worker {worker.settings.name}: {error.strerror}")


def end_sampling(sampling: Sampling, exited: Exited, worker: Worker) -> Exited:
    """Store what is left, within bounds; the fact that the attempt is over says what could not be."""
    why = sampling.why
    if sampling.stem is not None:
        within_s = DRAINED_WITHIN_S if worker.draining.is_set() else STORED_WITHIN_S
        why = worker.samples.settle(sampling.stem, within_s=within_s)
        why = f"worker {worker.settings.name}: {why}" if why else ""
    return msgspec.structs.replace(exited, samples_why=why)


def picked_about(spec: LoadSpec | RegressionSpec, closing: Snapshot) -> int:
    """How many samples an engine that died had picked, by its share, of its last moments' requests."""
    if not isinstance(spec, LoadSpec) or spec.samples is None:
        return 0
    ended = (
        count
        for cell in closing.cells
        for outcome, count in cell.outcomes.items()
        if outcome not in NOT_SAMPLED
    )
    return round(spec.samples.share * sum(ended))


def _not_shared(url: str, worker: Worker) -> str:
    """Why a folder of this host is not the one that the coordinator reads; "" where it is, or may be."""
    if not url.startswith("file://"):
        return ""  # a plain path is that of `run`, whose workers are all here
    runs = posixpath.dirname(posixpath.dirname(url))
    try:
        said = worker.link.open_client().get(names.RUNS)
    except AWAY:
        return ""
    try:
        found = get(posixpath.join(runs, names.RUNS_MARKER))
    except StoreError:
        found = b""
    if said is None or found == said:
        return ""
    return f"samples are not kept: {runs} on worker {worker.settings.name} is not the coordinator's folder"
