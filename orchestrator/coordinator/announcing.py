"""Telling a game day's webhook what happens: beside the leader's loop, bounded; failures are facts.

A message is `{"text": ...}`, which Slack, Mattermost and others take. Secrets in its URL are this
coordinator's (`${env:NAME}`, `${file:NAME}`), so only hosts that its operator lists are told, beside
loopback. A change of leaders may tell something twice; what came a minute before it, not again.
"""

import http.client
import json
import logging
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from orchestrator.errors import UsageError
from workers.contract.addresses import LOOPBACK, address_of, apart

MOST_WAITING: Final = 100
"""A webhook that hangs for minutes loses what comes after so many; each loss is said."""
MOST_LINES: Final = 50
"""Campaigns with something to tell at one time: a thread each."""
MOST_CAMPAIGNS: Final = 1_000
"""Of so many it is remembered how far they were told, and what could not be."""
IDLE_S: Final = 10.0
"""A thread that has nothing to tell for so long ends."""
TIMEOUT_S: Final = 5.0
ANSWER_WITHIN_S: Final = 10.0
"""A try may take so long in all, once it is connected, however often something comes."""
TRIES: Final = 3
REST_S: Final = 1.0
ANYWHERE: Final = "*"
_REFERENCE: Final = re.compile(r"\$\$\{|\$\{(?P<source>env|file):(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Permitted:
    """What an operator lets announcements use. `hosts`: HOST or HOST:PORT that may be told, or `*`.

    `environment` and `secrets`: of `${env:NAME}` and `${file:NAME}`.
    """

    hosts: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: Path = Path("/run/secrets")


@dataclass(frozen=True, slots=True)
class _Message:
    campaign: str
    url: str
    what: str
    text: str


class Announcing:
    """A thread for each campaign that has something to tell; whoever announces never waits.

    So the webhook of one that hangs holds up no other's.
    """

    def __init__(self, permitted: Permitted | None = None) -> None:
        self._permitted = permitted if permitted is not None else Permitted()
        self._lock = threading.Lock()
        self._lines: dict[str, queue.Queue[_Message]] = {}
        self._failed: dict[str, list[tuple[str, str]]] = {}
        self._looked: dict[str, tuple[int, ...]] = {}

    def tell(self, campaign: str, *, url: str, what: str, text: str) -> None:
        """Have a webhook told soon; `what` it is, in a word or two, for the case that it fails."""
        why = ""
        with self._lock:
            if campaign not in self._lines and len(self._lines) >= MOST_LINES:
                why = f"the webhooks of {MOST_LINES} campaigns are being told already"
            else:
                try:
                    self._line(campaign).put_nowait(_Message(campaign, url, what, text))
                except queue.Full:
                    why = f"{MOST_WAITING} messages wait already"
        if why:
            self._fail(campaign, what, why)

    def failures(self, campaign: str) -> list[tuple[str, str]]:
        """What could not be told of a campaign since the last time, with why."""
        with self._lock:
            return self._failed.pop(campaign, [])

    def looks_first(self, campaign: str, entry: str, *, is_late: bool) -> bool:
        """Whether an entry of a journal is to be told: nobody here has looked at it, nor probably elsewhere.

        `is_late`: it came so long ago that another leader has told it, unless it is known here what was told.
        """
        at = tuple(int(part) for part in entry.split("-"))
        before = self._looked.get(campaign)
        self._looked[campaign] = max(at, before or at)
        _shorten(self._looked)
        return at > before if before is not None else not is_late

    def _line(self, campaign: str) -> "queue.Queue[_Message]":
        if campaign not in self._lines:
            line: queue.Queue[_Message] = queue.Queue(MOST_WAITING)
            self._lines[campaign] = line
            threading.Thread(
                target=self._run, args=(campaign, line), name=f"announcing {campaign}", daemon=True
            ).start()
        return self._lines[campaign]

    def _run(self, campaign: str, line: "queue.Queue[_Message]") -> None:
        while True:
            try:
                message = line.get(timeout=IDLE_S)
            except queue.Empty:
                with self._lock:
                    if line.empty():
                        del self._lines[campaign]
                        return
                continue
            why = ""
            for number in range(TRIES):
                why = self._try(message)
                if not why:
                    break
                time.sleep(REST_S * number)
            if why:
                log.warning("campaign %s: the webhook was not told of %s: %s", campaign, message.what, why)
                self._fail(campaign, message.what, why)

    def _try(self, message: _Message) -> str:
        """Tell once; why that failed, "" where it did not. The URL's secrets are never in it."""
        try:
            url = fill(message.url, self._permitted)
            why = not_permitted(url, self._permitted.hosts)
            return why or _post(url, message.text)
        except UsageError as error:
            return str(error)
        except (OSError, http.client.HTTPException, ValueError) as error:
            return f"{type(error).__name__}: {getattr(error, 'strerror', None) or 'no answer'}"
        except Exception as error:  # whatever it is, the rest is told
            log.exception("campaign %s: the webhook of %s", message.campaign, message.what)
            return f"{type(error).__name__}: our mistake, see the coordinator's log"

    def _fail(self, campaign: str, what: str, why: str) -> None:
        with self._lock:
            self._failed.setdefault(campaign, []).append((what, why))
            _shorten(self._failed)  # of campaigns that are over nobody asks


def _shorten(of_campaigns: dict[str, Any]) -> None:
    while len(of_campaigns) > MOST_CAMPAIGNS:
        del of_campaigns[next(iter(of_campaigns))]


def fill(url: str, permitted: Permitted) -> str:
    """The URL with its secrets. Raises UsageError, which names the reference and never a value."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        name = match["name"]
        if match["source"] == "env":
            found = permitted.environment.get(name)
        else:
            try:
                found = (permitted.secrets / name).read_text("utf-8").rstrip("\r\n")
            except OSError:
                found = None
        if found is None:
            raise UsageError(
                f"${{{match['source']}:{name}}} of gameday.announce is not set on the coordinator"
            )
        return found

    return _REFERENCE.sub(value, url)


def not_permitted(url: str, hosts: Sequence[str]) -> str:
    """Why this coordinator may not tell that address, "" where it may."""
    address = address_of(url)
    if not address:
        return "gameday.announce is no http(s) address"
    host, _ = apart(address)
    if ANYWHERE in hosts or host == LOOPBACK or host in hosts or address in hosts:
        return ""
    return (
        f"{address} is not among the hosts that this coordinator may tell: start it with --announce-to {host}"
    )


def _post(url: str, text: str) -> str:
    """POST the message, following nothing; why it was not taken, "" where it was."""
    parts = urlsplit(url)
    body = json.dumps({"text": text}).encode()
    way: http.client.HTTPConnection
    if parts.scheme == "https":
        way = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=TIMEOUT_S, context=ssl.create_default_context()
        )
    else:
        way = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    late = threading.Timer(ANSWER_WITHIN_S, _cut, (way,))
    late.daemon = True
    try:
        way.connect()
        late.start()
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        way.request("POST", path, body, {"Content-Type": "application/json"})
        status = way.getresponse().status
    finally:
        late.cancel()
        way.close()
    return "" if status // 100 == 2 else f"it answered {status}"


def _cut(way: http.client.HTTPConnection) -> None:
    """End an exchange in which each byte comes in time and the last one never."""
    sock = way.sock
    if sock is not None:
        with suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)  # below TLS, which another thread is in
