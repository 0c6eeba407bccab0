"""Every Redis key, queue and header that both sides use, and the deadlines that both sides keep."""

import re

PREFIX = "shakeout"

LEADER = f"{PREFIX}:leader"
"""Hash: epoch, nonce; expires with the lease. Exists exactly while a coordinator leads."""
EPOCH = f"{PREFIX}:epoch"
CAMPAIGNS = f"{PREFIX}:campaigns"
"""Sorted set of live campaign ids by time of submission."""
FINISHED = f"{PREFIX}:finished"
"""Sorted set of ended campaign ids by end."""
WORKERS = f"{PREFIX}:workers"
"""Hash: worker name -> WorkerCard as JSON; cards older than `CARD_S` are dead."""
RUNS = f"{PREFIX}:runs"
"""String: what stands in the marker file of the leader's runs URL."""
INBOX = f"{PREFIX}:inbox"
"""Stream of campaign ids whose journal grew by a worker's or person's fact: wakes the leader."""
HALT = f"{PREFIX}:halt"
"""Exists while the red button is pressed."""

ID_HEADER = "x-shakeout-id"
TASK = "shakeout.{kind}"

LEADER_LEASE_S = 3.0
"""A leader that has not renewed for this long has lost the lead."""
LEASE_EVERY_S = 0.5
"""How often a worker renews an attempt's lease and looks for control."""
LEASE_S = 3.0
"""An attempt not renewed for this long is lost."""
CARD_EVERY_S = 1.0
CARD_S = 4.0
CLAIM_WITHIN_S = 10.0
"""A placed attempt not claimed within this is lost: its worker is gone or full."""
FENCE_MARGIN_S = 1.0
RESULTS_KEPT_S = 24 * 3600

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def is_worker_name(name: str) -> bool:
    """Whether a name may be a worker's: it becomes a queue and a file name."""
    return _NAME.fullmatch(name) is not None


def journal(campaign: str) -> str:
    """Stream of facts; one field `f` each."""
    return f"{PREFIX}:c:{campaign}:journal"


def fact_ids(campaign: str) -> str:
    """Set of fact ids already appended."""
    return f"{PREFIX}:c:{campaign}:ids"


CLOSED = "*"
"""Field of a campaign's claims once it has ended: nothing of it is claimed or reported any more."""


def claims(campaign: str) -> str:
    """Hash: attempt -> incarnation that claimed it, "-" for one that nobody may claim; and `CLOSED`."""
    return f"{PREFIX}:c:{campaign}:claims"


def leases(campaign: str) -> str:
    """Hash: attempt -> Redis time in ms of the last renewal. A removed field cannot be renewed."""
    return f"{PREFIX}:c:{campaign}:leases"


def snapshots(campaign: str, activity: str, shard: int) -> str:
    """Stream of one shard's snapshots; ids are `number-seq`, so a repeat is refused by Redis itself."""
    return f"{PREFIX}:c:{campaign}:snap:{activity}:{shard}"


def durable(campaign: str) -> str:
    """Hash: attempt -> last seq that a checkpoint holds; workers may forget up to there."""
    return f"{PREFIX}:c:{campaign}:durable"


def checkpoint(campaign: str) -> str:
    """Hash: totals, parts, watermark of the aggregate."""
    return f"{PREFIX}:c:{campaign}:checkpoint"


def specs(campaign: str) -> str:
    """Hash: sha256 -> activity spec."""
    return f"{PREFIX}:c:{campaign}:specs"


def live(campaign: str) -> str:
    """String: the leader's latest state for those who watch, JSON."""
    return f"{PREFIX}:c:{campaign}:live"


def results(campaign: str) -> str:
    """Hash: file name -> bytes of a finished campaign's results."""
    return f"{PREFIX}:c:{campaign}:results"


def control(worker: str) -> str:
    """Stream of orders to one worker: ControlOrder as JSON in field `o`."""
    return f"{PREFIX}:w:{worker}:control"


def file_chunks(sha256: str) -> str:
    """List of 1 MiB chunks of a data file."""
    return f"{PREFIX}:file:{sha256}"


def queue(worker: str) -> str:
    """The worker's own Celery queue (worker_direct)."""
    return f"{worker}.dq2"
