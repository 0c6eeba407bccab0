"""Who submitted, aborted, halted, resumed and drained, by key: what outlives the campaigns themselves. Pure.

A leader keeps an entry of each in a stream of Redis (`names.AUDIT`) and says it in its log. Entries are
derived from what it believes, and each has an id, so that a successor which reads a journal again keeps none
twice. Each is sealed by the coordinator's key: who can write to the stream can add no entry that `shakeout
audit` would vouch for.
"""

from collections.abc import Iterable, Iterator
from typing import Final, Literal

import msgspec

from workers.contract import facts as f
from workers.contract.decoding import guarded
from workers.contract.signed.halts import Press
from workers.contract.signed.signing import Keys, check_seal, seal

MOST_ENTRIES: Final = 10_000
"""Kept in Redis, the newest; 2 to 4 MB. The coordinators' logs have them all."""
MOST_SHOWN: Final = 300
What = Literal[
    "submitted", "refused", "aborted", "ended", "halted", "resumed", "drained", "pruned", "approved",
    "denied", "scheduled", "paused", "removed",
]  # fmt: skip


class Audited(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that somebody did; `at_s`: common time. `by`: as they named themselves. `key`: whose it was.

    `id`: the same for the same thing, whoever keeps it. `on`: the campaign or worker. `why`: their words, or
    the verdict and its first reason.
    """

    at_s: float
    what: What
    id: str
    on: str = ""
    by: str = ""
    key: str = ""
    why: str = ""
    signature: str = ""


encode_audited = msgspec.json.Encoder().encode
decode_audited = guarded(msgspec.json.Decoder(Audited).decode)


def of_campaign(campaign: str, facts: Iterable[f.Fact], *, by: str) -> Iterator[Audited]:
    """Entries of facts that count; `by`: who submitted it, as they said."""
    for fact in facts:
        match fact:
            case f.Accepted():
                entry = Audited(
                    at_s=fact.at_s, what="submitted", id=f"{campaign}:submitted", key=fact.key, by=by
                )
            case f.Refused(what="decision" | "observation" as what):
                # whoever forges one can forge thousands, and it is nobody's word: counted once
                entry = Audited(
                    at_s=fact.at_s, what="refused", id=f"{campaign}:{what}", why=f"{what}: {fact.why}"
                )
            case f.Refused():
                id_ = f"{campaign}:refused:{fact.what}:{fact.at_s}"
                why = f"{fact.what}: {fact.why}"
                entry = Audited(at_s=fact.at_s, what="refused", id=id_, by=fact.by, why=why)
            case f.AbortAsked():
                id_ = f"{campaign}:aborted:{fact.at_s}"
                entry = Audited(
                    at_s=fact.at_s, what="aborted", id=id_, by=fact.by, key=fact.key, why=fact.why
                )
            case f.Approved() | f.Denied():
                said: What = "approved" if isinstance(fact, f.Approved) else "denied"
                why = ": ".join(filter(None, (f"phase {fact.phase}", fact.why)))
                id_ = f"{campaign}:{said}:{fact.phase}:{fact.at_s}"
                entry = Audited(at_s=fact.at_s, what=said, id=id_, by=fact.by, key=fact.key, why=why)
            case f.Ended():
                why = ": ".join((fact.verdict, *fact.reasons[:1]))
                entry = Audited(at_s=fact.at_s, what="ended", id=f"{campaign}:ended", why=why)
            case _:
                continue
        # ids, names and words may be anybody's, and as long as they like
        yield msgspec.structs.replace(
            entry, on=campaign[:MOST_SHOWN], by=entry.by[:MOST_SHOWN], why=entry.why[:MOST_SHOWN]
        )


def of_button(what: Literal["halted", "resumed"], press: Press) -> Audited:
    """The red button, pressed or released, by somebody who is believed."""
    return Audited(
        at_s=press.at_s, what=what, id=f"{what}:{press.at_s}", by=press.by, key=press.key, why=press.why
    )


def sealed(entry: Audited, keys: Keys) -> Audited:
    """The entry with the coordinator's seal."""
    return msgspec.structs.replace(entry, signature=seal(_body(entry), purpose="audit", keys=keys))


def vouched_for(entry: Audited, keys: Keys) -> str:
    """The key that sealed an entry. Raises SignatureError where it is none of these, or was altered."""
    return check_seal(entry.signature, _body(entry), purpose="audit", keys=keys)


def words(entry: Audited) -> str:
    """The entry as a log has it."""
    parts = (entry.what, entry.on, f"by {entry.by}" if entry.by else "")
    key = f"(key {entry.key})" if entry.key else ""
    return " ".join(filter(None, (*parts, key))) + (f": {entry.why}" if entry.why else "")


def _body(entry: Audited) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(entry, signature=""), order="deterministic")
