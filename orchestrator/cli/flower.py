"""`shakeout flower`: Flower on this fleet's Redis, behind a login."""

import secrets
import sys
from typing import Annotated
from urllib.parse import urlsplit

import typer

from orchestrator.cli.connection import Broker, flower_password, open_store
from orchestrator.cli.exits import EXIT_USAGE, fail
from orchestrator.errors import UsageError

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def flower(
    broker: Broker = "",
    address: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for every one.", envvar="FLOWER_ADDRESS")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 for any.", envvar="FLOWER_PORT", min=0, max=65535)
    ] = 5555,
    url: Annotated[
        str,
        typer.Option(
            help="How people reach it, where that is not its own address: for links.", metavar="URL"
        ),
    ] = "",
    user: Annotated[
        str, typer.Option(help="Who logs in, by the password in SHAKEOUT_FLOWER_PASSWORD.")
    ] = "shakeout",
) -> None:
    """Serve Flower on the fleet's Redis: every shard with its progress, behind a login."""
    open_store(broker)
    password = flower_password()
    made = "" if password else secrets.token_urlsafe(12)
    _check(url=url, user=user, password=password or made)
    from orchestrator.flower.announce import Announcement  # noqa: PLC0415
    from orchestrator.flower.site import Site, serve  # noqa: PLC0415  # loads celery, flower and tornado

    site = Site(
        broker=broker, address=address, port=port, url=url.rstrip("/"), login=f"{user}:{password or made}"
    )
    told: list[Announcement] = []

    def opened(where: str, ours: bool) -> None:
        login = f"user {user}" + (f", password {made}" if made else "") if ours else "login as FLOWER_* says"
        _say(f"at {where}/tasks, {login}")
        if made and ours:
            _say("this password is for this time only: SHAKEOUT_FLOWER_PASSWORD says one that stays")
        if where.startswith("http://") and address not in LOOPBACK:
            _say("logins are sent unencrypted: put TLS before it, or set FLOWER_CERTFILE and FLOWER_KEYFILE")
        told.append(Announcement(broker, where, say=_say))
        told[0].start()

    try:
        serve(site, opened=opened)
    except UsageError as error:
        fail(str(error), EXIT_USAGE)
    finally:
        for announcement in told:
            announcement.close()


def _check(*, url: str, user: str, password: str) -> None:
    """What a browser could not open or log in with ends here."""
    if url and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc):
        fail(f"--url {url}: write http://HOST or https://HOST, with a path where there is one", EXIT_USAGE)
    if not user or ":" in user or not user.isascii() or not user.isprintable():
        fail(f"--user {user!r}: use letters, digits and signs but a colon", EXIT_USAGE)
    if not password.isascii() or not password.isprintable():
        fail("SHAKEOUT_FLOWER_PASSWORD: only ASCII can be sent by every browser", EXIT_USAGE)


def _say(line: str) -> None:
    print(f"flower: {line}", file=sys.stderr, flush=True)
