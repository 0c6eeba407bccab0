"""What a former life of this worker left on this host: attempts whose engines are found gone.

It is told in the former life's name, so that the shards need not wait for the fence, and nothing is told of
a life or an engine that may still be there.
"""

import logging
import shutil
import signal
import time
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from workers.attempts.register import LIFE, Delivered, Life, Running, this_life
from workers.chaos.contract import ProcessId
from workers.chaos.processes import is_alive, send
from workers.clock import CommonClock
from workers.contract import snapshot
from workers.contract.broker import names, scripts
from workers.contract.broker.trouble import explain
from workers.contract.errors import EngineError, FaultError
from workers.contract.facts import Exited, encode_fact
from workers.contract.signed.signing import NO_KEYS, Keys, SignatureError
from workers.contract.signed.trust import open_snapshot, seal_snapshot, sign_observation
from workers.engine import watermark
from workers.link import AGAIN_AFTER_S, AWAY

WITHIN_S = 10.0
"""While Redis is away; after a lease and a usual fence there is little left to be won."""
GONE_WITHIN_S = 2.0
"""An engine dies with its worker within milliseconds, unless it hangs in the kernel."""
_LOOK_EVERY_S = 0.01
_WHY = "worker {name} died; its next life found the engine gone"

Record = TypeVar("Record", Life, Running, Delivered)

log = logging.getLogger(__name__)


def tell_of_former_lives(
    home: Path, *, name: str, client: Any, clock: CommonClock, keys: Keys = NO_KEYS
) -> None:
    """Say how the attempts of this worker's former lives ended, take their cards back, forget them.

    `home`: the folder of this worker's lives; `keys`: to sign with, as it did. Nothing is lost where
    Redis stays away: then leases run out.
    """
    until_s = time.monotonic() + WITHIN_S
    for folder in sorted(home.glob("*/")):
        life = _read(folder / LIFE, Life)
        if life is None or not _is_of_this_host(life) or is_alive(life.process):
            continue
        while not _told(folder, life, name=name, client=client, clock=clock, keys=keys):
            if time.monotonic() > until_s:
                return
            time.sleep(AGAIN_AFTER_S)
        shutil.rmtree(folder, ignore_errors=True)


def forget_foreign_lives(home: Path, *, own: str) -> None:
    """Remove what lives left here of which nothing can be told: of another boot or container, or cut short.

    `own`: incarnation of this one. Only once the name is ours: until then such a life may go on elsewhere, on
    a disk that both can see.
    """
    for folder in home.glob("*/"):
        life = _read(folder / LIFE, Life)
        if folder.name != own and (life is None or not _is_of_this_host(life)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_of_this_host(life: Life) -> bool:
    """Whether its pids can be looked up here: another boot or container proves nothing."""
    here = this_life("")
    return (life.boot, life.pid_namespace) == (here.boot, here.pid_namespace)


def _told(folder: Path, life: Life, *, name: str, client: Any, clock: CommonClock, keys: Keys) -> bool:
    """Say all there is to say of one life; False while Redis is away. Saying it again does no harm."""
    try:
        clock.measure(client, server=str(client.info("server")["run_id"]))
        for path in folder.glob("*.json"):
            running = _read(path, Running) if path.name != LIFE else None
            if running is not None and _is_gone(running.engine):
                exited = _exited(running, path, life, client, at_s=clock.now(), name=name, keys=keys)
                exited = sign_observation(exited, campaign=running.campaign, keys=keys)
                _say(running, exited, life, client)
        client.eval(scripts.CARD_GONE, 1, names.WORKERS, name, life.incarnation)
    except AWAY as error:
        log.warning("waiting: %s", explain(error, ""))
        return False
    return True


def _is_gone(engine: ProcessId) -> bool:
    """Whether it is certain that this engine sends nothing more; one that lingers is ended."""
    until_s = time.monotonic() + GONE_WITHIN_S
    while is_alive(engine):
        try:
            send(engine, signal.SIGKILL)
        except FaultError as error:
            log.warning("an engine of a former life: %s", error)
        if time.monotonic() > until_s:
            return False
        time.sleep(_LOOK_EVERY_S)
    return True


def _exited(
    running: Running, path: Path, life: Life, client: Any, *, at_s: float, name: str, keys: Keys
) -> Exited:
    """How the attempt ended, with the counts of its last moments where they can be told exactly."""
    exited = Exited(
        at_s=at_s,
        attempt=running.attempt,
        outcome="died",
        why=_WHY.format(name=name),
        silent_s=at_s,
        known=False,
    )
    try:
        left = watermark.read(str(path.with_suffix("")))
    except EngineError as error:
        log.info("attempt %s of %s: %s", running.attempt, running.campaign, error)
        return exited
    tally, seq = _reported(running, path, client, keys)
    if tally is None:
        return exited
    closing = watermark.closing_snapshot(
        left,
        tally,
        activity=running.activity,
        shard=running.shard,
        attempt=running.attempt,
        at_s=at_s,
        seq=seq + 1,
    )
    stream = names.snapshots(running.campaign, running.activity, running.shard, running.number)
    id_ = f"{running.number}-{seq + 1}"
    body = seal_snapshot(snapshot.encode(closing), stream=stream, id_=id_, keys=keys)
    words = (running.attempt, life.incarnation, id_, body)
    if client.eval(scripts.SNAPSHOT, 2, stream, names.claims(running.campaign), *words) != 1:
        return exited
    return msgspec.structs.replace(exited, dispatched=left.dispatched, last_seq=seq + 1, known=True)


def _reported(running: Running, path: Path, client: Any, keys: Keys) -> tuple[watermark.Tally | None, int]:
    """Sum and number of the snapshots that Redis has got; None where that cannot be told.

    The file may lack the last one: its delivery was not written down any more.
    """
    tally = watermark.Tally(running.timeout_s)
    stream = names.snapshots(running.campaign, running.activity, running.shard, running.number)
    written = _read(path.with_suffix(".tally"), Delivered) or Delivered(0, [])
    number, last = 0, 0
    if client.exists(stream):
        newest = client.xinfo_stream(stream)["last-generated-id"].decode()
        number, last = (int(part) for part in newest.split("-"))
    seq = last if number == running.number else 0
    if number > running.number or seq < written.seq:
        return None, 0
    tally.add(_as_snapshot(running, written))
    for missing in range(written.seq + 1, seq + 1):
        id_ = f"{number}-{missing}"
        found = client.xrange(stream, id_, id_)
        if not found:
            return None, 0
        try:
            body = open_snapshot(found[0][1].get(b"s", b""), stream=stream, id_=id_, keys=keys)
            tally.add(snapshot.decode(body))
        except (SignatureError, msgspec.DecodeError):  # not what this worker sent
            return None, 0
    return tally, seq


def _as_snapshot(running: Running, written: Delivered) -> snapshot.Snapshot:
    return snapshot.Snapshot(
        running.activity, running.shard, running.attempt, written.seq, 0.0, 0, 0, [], written.cells
    )


def _say(running: Running, exited: Exited, life: Life, client: Any) -> None:
    """In the former life's name: the same words from itself, had it got them out, are the same fact."""
    campaign = running.campaign
    keys = [names.journal(campaign), names.fact_ids(campaign), names.claims(campaign), names.INBOX]
    words = [f"{running.attempt}:exited:1", encode_fact(exited), running.attempt, life.incarnation, campaign]
    if client.eval(scripts.FACT, len(keys), *keys, *words) == 1:
        log.warning("attempt %s of %s: %s", running.attempt, campaign, exited.why)


def _read(path: Path, kind: type[Record]) -> Record | None:
    """A record, None where it is not there or was cut short."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None
