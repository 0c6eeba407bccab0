"""Every Redis key, queue and header that both sides use, and the deadlines that both sides keep."""

import re
from urllib.parse import quote

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
COORDINATORS = f"{PREFIX}:coordinators"
"""Hash: nonce -> what a coordinator says of itself, for people."""
RUNS = f"{PREFIX}:runs"
"""String: what stands in the marker file of the leader's runs URL."""
RUNS_MARKER = ".shakeout"
"""Name of that file: who finds the same in it reads the same folder."""
INBOX = f"{PREFIX}:inbox"
"""Stream of campaign ids whose journal grew by a worker's or person's fact: wakes the leader."""
HALT = f"{PREFIX}:halt"
"""Hash: `halt` and `resume`, the last of each as JSON with its signature. Halted while `halt` is newer."""
DRAIN = f"{PREFIX}:drain"
"""Hash: worker -> who wants that life of it to leave the fleet, as JSON with a signature."""
LOOKS = f"{PREFIX}:looks"
"""Stream of signed questions what faults would touch right now, one field `q` each."""
AUDIT = f"{PREFIX}:audit"
"""Stream: who submitted, aborted, halted, resumed; one field `a` each, sealed by the leader that kept it."""
AUDIT_IDS = f"{PREFIX}:audit:ids"
"""Sorted set of the ids of those entries, by their moments: each is kept once."""
SCHEDULES = f"{PREFIX}:schedules"
"""Stream of signed words about schedules, one field `s` each: what holds is their fold."""
SCHEDULE_LOG = f"{PREFIX}:schedules:log"
"""Stream: what became of words and runs of schedules; one field `a` each, sealed by the leader."""
SCHEDULE_LOG_IDS = f"{PREFIX}:schedules:log:ids"
"""Sorted set of the ids of those entries, by their moments: each is kept once."""
PRUNED = f"{PREFIX}:pruned"
"""String: what the leader's last look for old runs came to, JSON, for people."""
FLOWER = f"{PREFIX}:flower"
"""String: the address of this fleet's Flower as people open it; stands while it runs."""
NOTICES = f"{PREFIX}:doctor:notices"
"""Stream of what processes that were refused and ended have left for `doctor`."""

EVENTS = f"{PREFIX}.events"
"""Exchange of Celery's events: our own, so that Flower shows nothing of others on the same server."""

ID_HEADER = "x-shakeout-id"
TASK = "shakeout.{kind}"

WEBHOOK_LABEL = "webhook"
"""Label of workers that take Alertmanager's webhooks."""

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
_CAMPAIGN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def is_worker_name(name: str) -> bool:
    """Whether a name may be a worker's: it becomes a queue and a file name."""
    return _NAME.fullmatch(name) is not None


def is_campaign_id(text: str) -> bool:
    """Whether it may be a campaign's id: it becomes keys of Redis and the name of a folder."""
    return _CAMPAIGN.fullmatch(text) is not None


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


def snapshots(campaign: str, activity: str, shard: int, number: int = 1) -> str:
    """Stream of one attempt's snapshots; ids are `number-seq`, so a repeat is refused by Redis itself.

    One an attempt, since at a hand-over two of a shard report at once, and a stream's ids only grow.
    """
    return f"{PREFIX}:c:{campaign}:snap:{activity}:{shard}" + (f":{number}" if number > 1 else "")


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


def looked(question: str) -> str:
    """Hash: worker -> what it answered to a question of `LOOKS`; expires."""
    return f"{PREFIX}:looked:{question}"


def control(worker: str) -> str:
    """Stream of orders to one worker: ControlOrder as JSON in field `o`."""
    return f"{PREFIX}:w:{worker}:control"


def file_chunks(sha256: str) -> str:
    """List of 1 MiB chunks of a data file."""
    return f"{PREFIX}:file:{sha256}"


def task_id(campaign: str, attempt: str) -> str:
    """The attempt's Celery task."""
    return f"{campaign}/{attempt}"


def task_page(flower: str, campaign: str, attempt: str) -> str:
    """Where Flower, at this address, shows the attempt for as long as it remembers it."""
    return f"{flower}/task/{quote(task_id(campaign, attempt), safe='')}"


def queue(worker: str) -> str:
    """The worker's own Celery queue (worker_direct)."""
    return f"{worker}.dq2"
