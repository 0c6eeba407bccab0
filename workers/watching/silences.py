"""Silences in Alertmanager while faults act: created, removed, and never left for ever.

Each has an end of its own, should nobody be left to remove it. What was created stands on disk until it is
removed, so that the worker's next life, and in Alertmanager itself, so that another worker, can do it.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

from workers.contract.facts import Silenced
from workers.contract.spec import SilenceSpec
from workers.watching.contract import UnreadError
from workers.watching.fetch import Place, fetch

CREATED_BY: Final = "shakeout"
AGAIN_AFTER_S: Final = 2.0
"""Between two tries to create one."""
REMOVE_TRIES: Final = 3
GONE: Final = (" 404", "silence not found", "already expired")
"""What Alertmanager says of a silence that it does not have: some of its versions with status 500."""

log = logging.getLogger(__name__)


class _State(msgspec.Struct, frozen=True):
    state: str = ""


class _Silence(msgspec.Struct, frozen=True):
    id: str = ""
    createdBy: str = ""  # noqa: N815  # Alertmanager's own name
    comment: str = ""
    status: _State = _State()


class _Created(msgspec.Struct, frozen=True):
    silenceID: str  # noqa: N815


class Record(msgspec.Struct, frozen=True):
    """A silence as it stands on disk; `life`: the worker's that created it."""

    id: str
    alertmanager: str
    life: str


@dataclass(slots=True)
class Silences:
    """Of one attempt. `what`: the campaign and the phase, in words; `folder`: this worker's, for records."""

    place: Place
    specs: tuple[SilenceSpec, ...]
    attempt: str
    what: str
    folder: Path
    life: str
    say: Callable[[Silenced], None]
    created: dict[SilenceSpec, str] = field(default_factory=dict)
    failed: dict[SilenceSpec, str] = field(default_factory=dict)
    again_s: float = 0.0

    def clear_former(self) -> None:
        """Remove what former lives of this worker left, and former attempts at this very phase."""
        for path, record in self._records():
            if record.life != self.life and record.alertmanager == self.place.shown:
                self._remove(record.id, "", path)
        try:
            left = msgspec.json.decode(fetch(self.place, "/api/v2/silences").body, type=tuple[_Silence, ...])
        except (UnreadError, msgspec.DecodeError) as error:
            log.warning("silences of former attempts were not looked for: %s", error)
            return
        for one in left:
            if one.createdBy == CREATED_BY and one.comment == self._comment and one.status.state != "expired":
                self._remove(one.id, "", self._path(one.id))

    def tend(self, *, start_s: float, now_s: float) -> None:
        """Create what is due; one that could not be is tried again until its end."""
        if now_s < self.again_s:
            return
        for spec in self.specs:
            due = start_s + spec.from_s <= now_s < start_s + spec.until_s
            if due and spec not in self.created:
                self._create(spec, until_s=start_s + spec.until_s, now_s=now_s)

    def remove(self) -> None:
        """Remove all that was created."""
        for spec, id_ in self.created.items():
            self._remove(id_, words(spec), self._path(id_))
        self.created.clear()

    @property
    def _comment(self) -> str:
        return f"{self.what}: faults are injected on purpose"

    def _create(self, spec: SilenceSpec, *, until_s: float, now_s: float) -> None:
        body = {
            "matchers": [
                {"name": name, "value": value, "isRegex": op.endswith("~"), "isEqual": not op.startswith("!")}
                for name, op, value in spec.matchers
            ],
            "startsAt": _rfc3339(now_s),
            "endsAt": _rfc3339(until_s),
            "createdBy": CREATED_BY,
            "comment": self._comment,
        }
        try:
            reply = fetch(self.place, "/api/v2/silences", method="POST", body=msgspec.json.encode(body))
            id_ = msgspec.json.decode(reply.body, type=_Created).silenceID
        except (UnreadError, msgspec.DecodeError) as error:
            self.again_s = now_s + AGAIN_AFTER_S
            if self.failed.get(spec) != str(error):
                self.failed[spec] = str(error)
                self._tell("failed", "", spec=words(spec), why=str(error))
            return
        self.created[spec] = id_
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._path(id_).write_bytes(msgspec.json.encode(Record(id_, self.place.shown, self.life)))
        except OSError as error:
            log.warning(
                "silence %s is not on disk, it will end by itself if this worker dies: %s", id_, error
            )
        self._tell("created", id_, spec=words(spec), until_s=until_s)

    def _remove(self, id_: str, spec: str, path: Path) -> None:
        why = ""
        for _ in range(REMOVE_TRIES):
            try:
                fetch(self.place, f"/api/v2/silence/{id_}", method="DELETE")
            except UnreadError as error:
                why = str(error)
                if not any(one in why for one in GONE):
                    continue
            with suppress(OSError):
                path.unlink(missing_ok=True)
            self._tell("removed", id_, spec=spec)
            return
        self._tell("failed", id_, spec=spec, why=f"it could not be removed: {why}")

    def _tell(
        self,
        what: Literal["created", "removed", "failed"],
        id_: str,
        *,
        spec: str,
        until_s: float = 0.0,
        why: str = "",
    ) -> None:
        self.say(
            Silenced(
                at_s=self.place.clock(),
                attempt=self.attempt,
                what=what,
                id=id_,
                matchers=spec,
                until_s=until_s,
                why=why,
            )
        )

    def _path(self, id_: str) -> Path:
        return self.folder / f"{hashlib.sha256(id_.encode()).hexdigest()[:32]}.json"

    def _records(self) -> Iterator[tuple[Path, Record]]:
        paths: Iterable[Path] = sorted(self.folder.glob("*.json")) if self.folder.is_dir() else ()
        for path in paths:
            with suppress(OSError, msgspec.DecodeError):
                yield path, msgspec.json.decode(path.read_bytes(), type=Record)


def words(spec: SilenceSpec) -> str:
    """What a silence keeps quiet, as Alertmanager writes it."""
    return "{" + ", ".join(f'{name}{op}"{value}"' for name, op, value in spec.matchers) + "}"


def _rfc3339(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
