"""What planned faults would touch right now: asked of the workers that would do them, or of this host."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from orchestrator.campaign.models import Campaign, ChaosActivity, Target
from orchestrator.plan import Plan
from orchestrator.preview.aimed import FaultPreview, Now
from orchestrator.preview.preview import Preview
from orchestrator.specs import aimed_at
from orchestrator.store.store import Store
from workers.chaos.contract import kind_of
from workers.contract.broker import names
from workers.contract.signed.looks import (
    MOST_KEPT,
    Look,
    LookAt,
    Touch,
    decode_touches,
    encode_look,
    sign_look,
)
from workers.contract.signed.signing import Keys
from workers.contract.spec import TargetSpec

ANSWERS_WITHIN_S = 6.0
"""Workers look once a second; a probe of a host may take as long again."""
_POLL_S = 0.1

Ask = Callable[[tuple[LookAt, ...]], tuple[Touch, ...]]
"""Questions -> the answers that came in time."""


def look_at(preview: Preview, plan: Plan, campaign: Campaign, *, ask: Ask) -> Preview:
    """The preview with what each fault would touch now, host by host, or why it cannot be done there."""
    models = {
        (phase.name, one.name): one
        for phase in campaign.phases
        for one in phase.activities
        if isinstance(one, ChaosActivity)
    }
    questions: list[LookAt] = []
    for phase in preview.phases:
        for key, workers in {one.key: one.workers for one in phase.faults if one.workers}.items():
            planned = plan.activity(key)
            model = models[phase.name, planned.name]
            questions.append(
                LookAt(
                    key,
                    workers,
                    planned.steps,
                    planned.where.without,
                    model.on_generators,
                    _target(model, campaign),
                )
            )
    if not questions:
        return preview
    answers: dict[tuple[str, int], list[Touch]] = {}
    for touch in ask(tuple(questions)):
        answers.setdefault((touch.activity, touch.step), []).append(touch)
    return replace(
        preview,
        phases=tuple(
            replace(phase, faults=tuple(_with_now(one, plan, answers) for one in phase.faults))
            for phase in preview.phases
        ),
    )


def ask_fleet(store: Store, *, by: str, keys: Keys) -> Ask:
    """Ask a fleet's workers, for ANSWERS_WITHIN_S at most. The function raises redis errors."""

    def ask(questions: tuple[LookAt, ...]) -> tuple[Touch, ...]:
        look = Look(id=secrets.token_hex(16), by=by, at_s=store.now_s(), activities=questions)
        body = encode_look(sign_look(look, keys=keys))
        store.client.xadd(names.LOOKS, {"q": body}, maxlen=MOST_KEPT)
        asked = {worker for one in questions for worker in one.workers}
        until_s = time.monotonic() + ANSWERS_WITHIN_S
        found: Mapping[bytes, bytes] = {}
        while time.monotonic() < until_s and {name.decode() for name in found} < asked:
            time.sleep(_POLL_S)
            found = store.client.hgetall(names.looked(look.id))
        return tuple(touch for answer in found.values() for touch in _read(answer))

    return ask


def ask_here(folder: Path) -> Ask:
    """Look at this host in a process of its own, as the workers of `run` would; nothing where it fails.

    `folder`: the campaign's, whose commands those may run.
    """

    def ask(questions: tuple[LookAt, ...]) -> tuple[Touch, ...]:
        look = Look(id="here", by="", at_s=0.0, activities=questions)
        listed = (os.environ.get("SHAKEOUT_USER_CODE", ""), str(folder.absolute()))
        try:
            done = subprocess.run(
                [sys.executable, "-m", "workers.faults.dry_run"],
                input=encode_look(look),
                capture_output=True,
                timeout=ANSWERS_WITHIN_S,
                check=True,
                env={**os.environ, "SHAKEOUT_USER_CODE": os.pathsep.join(filter(None, listed))},
            )
        except (OSError, subprocess.SubprocessError):
            return ()
        workers = {one.activity: one.workers for one in questions}
        return tuple(
            msgspec.structs.replace(touch, worker=worker)
            for touch in _read(done.stdout)
            for worker in workers.get(touch.activity, ())[:1]
        )

    return ask


def _target(model: ChaosActivity, campaign: Campaign) -> TargetSpec | None:
    """What its clients would be aimed at; files of it are not stored yet, and a look needs none."""
    bare = {
        name: one.model_copy(update={"tls": None, "tokenizer": None}) if isinstance(one, Target) else one
        for name, one in campaign.targets.items()
    }
    return aimed_at(model, campaign.model_copy(update={"targets": bare}), files={}, urls={})


def _read(answer: bytes) -> tuple[Touch, ...]:
    try:
        return decode_touches(answer)
    except msgspec.DecodeError:
        return ()


def _with_now(
    one: FaultPreview, plan: Plan, answers: Mapping[tuple[str, int], Sequence[Touch]]
) -> FaultPreview:
    step = plan.activity(one.key).steps[one.step - 1]
    kind = kind_of(step.fault)
    if kind.needs_match and step.match is None:
        return one  # the demo target's process, which is not there yet
    if kind.client and not plan.activity(one.key).address:
        return one  # the demo target's address, likewise
    said = {touch.worker: touch for touch in answers.get((one.key, one.step - 1), ())}
    silent = f"did not answer within {ANSWERS_WITHIN_S:g} s: if it is well, its log says why"
    return replace(
        one,
        now=tuple(
            Now(worker, touch.host, touch.processes, touch.touched, touch.refused)
            if (touch := said.get(worker)) is not None
            else Now(worker, "", (), (), silent)
            for worker in one.workers
        ),
    )
