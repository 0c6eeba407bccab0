"""Who may speak for a role: whose key approves which phase (CAMPAIGN.md section 9, `roles`).

A campaign names a role's holder by an address; a coordinator's operator names the keys that it trusts
(SHAKEOUT_SUBMITTER_KEYS=commander=...,ada=...). A key speaks for a role if its name is the role's, or the
address's (before the @, with - for what a key's name cannot hold), or if the address is the key's id.
"""

import re

from orchestrator.campaign.models import Campaign, GameDay
from orchestrator.gameday.hidden import hidden_keys
from workers.contract import facts as f

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")


def objection(word: f.Word, campaign: Campaign, *, key: str, alone: bool) -> str:
    """Why a person's word does not count although its signature holds, "" where it does.

    `key`: whose it is, as `Key` shows itself; "" in a fleet without keys. `alone`: one person's own fleet,
    whose only key speaks for all roles.
    """
    day = campaign.gameday
    match word:
        case f.Approved() | f.Denied():
            return _of_approval(word, day, key=key, alone=alone)
        case f.StepDone(step=step):
            names = step_names(day)
            listed = f"its steps are {', '.join(names)}" if names else "it has none"
            return "" if step in names else f"the runbook has no step {step!r}: {listed}"
        case f.Revealed(activity=activity):
            hidden = tuple(hidden_keys(campaign).values())
            listed = f"hidden are {', '.join(hidden)}" if hidden else "none is hidden"
            return "" if activity in hidden else f"{activity!r} is no hidden fault: {listed}"
        case _:
            return ""


def speaks_for(role: str, address: str, key: str) -> bool:
    """Whether a key, as it shows itself ("ada (1a2b3c4d)", or its id alone), may approve as a role."""
    name, _, rest = key.partition(" (")
    id_ = rest.rstrip(")") or name
    holder = _NOT_IN_NAMES.sub("-", address.partition("@")[0])
    named = rest and name in (role, address, holder)
    return bool(named) or (bool(id_) and address == id_)


def step_names(day: GameDay | None) -> tuple[str, ...]:
    """Names of the runbook's steps in order; one without a name is called step-N."""
    return tuple(one.name or f"step-{n}" for n, one in enumerate(day.runbook or (), start=1)) if day else ()


def _of_approval(word: f.Approved | f.Denied, day: GameDay | None, *, key: str, alone: bool) -> str:
    approvals = day.approvals if day is not None else {}
    if day is None or word.phase not in approvals:
        asked = f"asked for: {', '.join(approvals)}" if approvals else "the campaign asks for none"
        return f"no approval is asked for phase {word.phase!r}; {asked}"
    role = approvals[word.phase].by
    if word.role not in ("", role):
        return f"phase {word.phase} is approved by {role}, not by {word.role}"
    address = day.roles.get(role, "")
    if key and not alone and not speaks_for(role, address, key):
        names = " or ".join(dict.fromkeys((role, _NOT_IN_NAMES.sub("-", address.partition("@")[0]))))
        return (
            f"key {key} does not speak for {role} ({address}): the approver's key must be named {names} "
            "among those that the coordinator trusts"
        )
    return ""
