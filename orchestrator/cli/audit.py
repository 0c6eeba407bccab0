"""`shakeout audit`: who submitted, aborted, halted, resumed and drained, and with which key."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

import msgspec
import typer

from orchestrator.cli.connection import Broker, open_store, reaching, signing_keys
from orchestrator.cli.tables import console, moment, say, show_json, show_table
from orchestrator.results.audit import Audited, decode_audited, vouched_for
from workers.contract.broker import names
from workers.contract.signed.signing import Keys, SignatureError, key_id

SHOWN = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """The keys of `audit --json`. `sealed_by`: the coordinator's key that vouches for it.

    `doubt`: why this command's own keys do not vouch for it, "" where they do.
    """

    at_s: float
    what: str
    on: str
    by: str
    key: str
    why: str
    sealed_by: str
    doubt: str


def audit(
    campaign: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Only what concerns this campaign or worker.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show so many, the newest.")] = SHOWN,
    json_: Annotated[bool, typer.Option("--json", help="Print it as JSON, for scripts.")] = False,
    broker: Broker = "",
) -> None:
    """Say who submitted, aborted, halted, resumed and drained, when, and with which key; the newest first."""
    keys = signing_keys()
    store = open_store(broker)
    with reaching(broker):
        found = store.client.xrevrange(names.AUDIT)
    entries: list[Audited] = []
    for _, fields in found:
        with suppress(msgspec.DecodeError, KeyError):  # of another version
            entries.append(decode_audited(fields[b"a"]))
    wanted = [one for one in entries if campaign is None or one.on == campaign]
    wanted.sort(key=lambda one: one.at_s, reverse=True)  # a leader keeps what came while none led, later
    lines = [_line(one, keys) for one in wanted[:limit]]
    if json_:
        show_json(lines)
        return
    to = console()
    if not lines:
        say(to, "nothing is kept" + (f" of {campaign}" if campaign is not None else " yet"))
        return
    header = ("when (UTC)", "what", "on", "by", "key", "why", "")
    colours = ["red" if one.doubt and not _is_foreign(one, keys) else "" for one in lines]
    show_table(to, header, [_row(one, keys) for one in lines], colours=colours)
    foreign = sorted({one.sealed_by for one in lines if _is_foreign(one, keys)})
    if foreign and keys.keys:
        say(to, f"sealed with a key that is not yours, which whoever has it can check: {', '.join(foreign)}")


def _line(one: Audited, keys: Keys) -> AuditLine:
    doubt = ""
    sealed_by = key_id(one.signature)
    try:
        sealed_by = vouched_for(one, keys) or sealed_by
    except SignatureError as error:
        doubt = str(error)
    return AuditLine(
        at_s=one.at_s, what=one.what, on=one.on, by=one.by, key=one.key, why=one.why,
        sealed_by=sealed_by, doubt=doubt,
    )  # fmt: skip


def _is_foreign(one: AuditLine, keys: Keys) -> bool:
    """Whether it is sealed with a key that we do not have: nothing speaks against it, nor for it."""
    return bool(one.sealed_by) and bool(one.doubt) and one.sealed_by not in {key.id for key in keys.keys}


def _row(one: AuditLine, keys: Keys) -> tuple[str, ...]:
    doubt = f"not vouched for: {one.doubt}" if one.doubt else ""
    return (
        moment(one.at_s),
        one.what,
        one.on,
        one.by,
        one.key,
        one.why,
        f"sealed with {one.sealed_by}" if _is_foreign(one, keys) else doubt,
    )
