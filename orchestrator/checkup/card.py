"""What is not as it should be with a worker, by its card: for `doctor`, `workers` and `status`. Pure."""

from collections.abc import Iterator

from orchestrator.checkup.finding import Finding, Level
from orchestrator.coordinator.cards import CoordinatorCard
from workers.contract.facts import WorkerCard

CLOCK_OFF_S, CLOCK_WRONG_S = 1.0, 60.0
"""A time of day that is wrong by more is worth saying; nothing is measured by it."""
CALIBRATE_THERE = "run `shakeout doctor --calibrate` there, then start the worker again"
_BAD_DRIVER = ("broken", "hangs", "too old", "left out", "not known")
"""Words of workers/gpus.py where there may be GPUs and they cannot be used."""


def troubles(card: WorkerCard, *, leader: CoordinatorCard | None, version: str) -> Iterator[Finding]:
    """Why a live worker would get no work, and what else an operator should look at.

    `version`: what to hold its own against where no leader says one. Nothing is known of keys then.
    """
    right = leader.version if leader is not None else version
    if card.version != right:
        what = f"is version {card.version}, the coordinator's is {right}: it gets no work"
        yield about(card, "worker version", "problem", what, do=f"install version {right} there")
    if leader is not None:
        yield from _signing(card, leader.key)
    if any(word in card.driver for word in _BAD_DRIVER):
        yield about(card, "worker GPUs", "warning", card.driver, do="look what nvidia-smi says there")
    if card.refused:
        times = "a task or order" if card.refused == 1 else f"{card.refused:,} tasks or orders"
        do = "compare SHAKEOUT_SIGNING_KEY on both sides"
        yield about(card, "worker signing", "warning", f"did not believe {times}: {card.refused_why}", do=do)
    if card.uncalibrated:
        yield about(card, "worker calibration", "warning", card.uncalibrated, do=CALIBRATE_THERE)
    level, what, do = clock_off(card.offset_s, card.uncertainty_s)
    if level != "ok":
        yield about(card, "worker clock", level, f"its clock is {what}", do=do)


def about(card: WorkerCard, check: str, level: Level, what: str, *, do: str = "") -> Finding:
    """One finding about a worker."""
    where = f"worker {card.worker} on host {card.host}"
    return Finding(area="fleet", check=check, level=level, what=what, where=where, do=do)


def clock_off(offset_s: float, uncertainty_s: float) -> tuple[Level, str, str]:
    """Of a time of day that `offset_s` would make Redis's: how bad it is, in words, and what to do."""
    size = abs(offset_s)
    if size <= max(0.001, uncertainty_s):
        return "ok", "agrees with Redis's", ""
    amount = (
        f"{size / 60:.1f} min" if size >= 120 else f"{size:.1f} s" if size >= 1 else f"{size * 1000:.1f} ms"
    )
    what = f"{amount} {'behind' if offset_s > 0 else 'ahead of'} Redis's"
    if size <= CLOCK_OFF_S:
        return "ok", what, ""
    do = "set it by NTP: campaigns keep Redis's time, but certificates, signatures and logs go by the host's"
    return ("problem" if size > CLOCK_WRONG_S else "warning"), what, do


def _signing(card: WorkerCard, key: str) -> Iterator[Finding]:
    """`key`: id of the one that the coordinator signs tasks with, "" for none."""
    if card.trusts and key not in card.trusts:
        what = "takes signed tasks only, and the coordinator signs none"
        if key:
            what = f"does not take tasks signed with the coordinator's key {key}"
        do = "give both the same SHAKEOUT_SIGNING_KEY"
        yield about(card, "worker signing", "problem", what, do=do)
    elif key and not card.trusts:
        what = "has no signing key: takes tasks from anybody"
        yield about(card, "worker signing", "warning", what, do="set SHAKEOUT_SIGNING_KEY there")
