"""The fleet that a command speaks to: the address of its Redis, the keys to sign with, and who is asking."""

import getpass
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import msgspec
import redis
import typer

from orchestrator.cli.exits import EXIT_LOST, EXIT_USAGE, fail
from orchestrator.cli.plain import plain
from orchestrator.coordinator.announcing import Permitted
from orchestrator.store.store import Store
from workers.contract.addresses import LIMITS_VARIABLE, parse_limits
from workers.contract.broker.trouble import explain
from workers.contract.errors import ContractError
from workers.contract.signed.signing import Keys, read_keys
from workers.contract.signed.trust import KEY_VARIABLE, SECRET_VARIABLES, SUBMITTERS_VARIABLE, require_keys

BROKER_VARIABLE: Final = "SHAKEOUT_BROKER"
ANNOUNCE_VARIABLE: Final = "SHAKEOUT_ANNOUNCE_TO"
FLOWER_VARIABLE: Final = "SHAKEOUT_FLOWER_PASSWORD"

Broker = Annotated[
    str,
    typer.Option(
        "--broker",
        envvar=BROKER_VARIABLE,
        show_envvar=True,
        show_default=False,
        metavar="URL",
        help="Address of the fleet's Redis: redis://, rediss:// or sentinel://.",
    ),
]
"""The option of every command that speaks to a fleet; give it the default ""."""


def open_store(broker: str) -> Store:
    """The fleet's Redis, not yet spoken to; exit 2 where there is no address or it cannot be read."""
    if not broker:
        fail(
            f"no broker: say --broker redis://HOST:PORT or set {BROKER_VARIABLE} "
            "(`shakeout run FILE` needs none: it starts a fleet of its own)",
            EXIT_USAGE,
        )
    try:
        return Store(broker)
    except ContractError as error:
        fail(str(error), EXIT_USAGE)


def signing_keys() -> Keys:
    """What this person signs with, from SHAKEOUT_SIGNING_KEY; exit 2 where it cannot be read."""
    return _keys(KEY_VARIABLE)


def believed_keys(own: Keys) -> Keys:
    """Whose word a coordinator takes: its own keys' and that of SHAKEOUT_SUBMITTER_KEYS; exits as above."""
    return own.and_also(_keys(SUBMITTERS_VARIABLE))


def _keys(variable: str) -> Keys:
    try:
        return read_keys(os.environ.get(variable, ""))
    except ContractError as error:
        fail(f"{variable}: {error}", EXIT_USAGE)


def keys_for(broker: str) -> Keys:
    """What this person signs with for that fleet; exit 2 where it needs a key and there is none."""
    keys = signing_keys()
    try:
        warning = require_keys(keys, broker=broker)
    except ContractError as error:
        fail(str(error), EXIT_USAGE)
    if warning:
        print(f"shakeout: {warning}", file=sys.stderr)
    return keys


def target_limits(flags: Sequence[str]) -> dict[str, float]:
    """HOST:PORT -> requests per second, of flags and SHAKEOUT_TARGET_LIMITS; exit 2 where one is wrong."""
    try:
        return parse_limits([*os.environ.get(LIMITS_VARIABLE, "").split(","), *flags])
    except ContractError as error:
        fail(str(error), EXIT_USAGE)


def permitted(announce_to: Sequence[str]) -> Permitted:
    """What webhooks of game days may use: hosts of flags and SHAKEOUT_ANNOUNCE_TO, secrets of this host."""
    hosts = [one.strip().lower() for one in (*os.environ.get(ANNOUNCE_VARIABLE, "").split(","), *announce_to)]
    folder = os.environ.get("SHAKEOUT_SECRETS") or os.environ.get("CREDENTIALS_DIRECTORY") or "/run/secrets"
    environment = {name: value for name, value in os.environ.items() if name not in SECRET_VARIABLES}
    return Permitted(tuple(filter(None, hosts)), environment, Path(folder))


def flower_password() -> str:
    """The password that people log in to Flower with; "" where none is set."""
    return os.environ.get(FLOWER_VARIABLE, "")


def user() -> str:
    """The user who runs this; the number of one without a name."""
    try:
        return plain(getpass.getuser())
    except (KeyError, OSError):
        return f"user {os.getuid()}"


@contextmanager
def reaching(broker: str) -> Iterator[None]:
    """Turn what Redis or the way to it answers into a message with what to do, and end with exit code 6."""
    try:
        yield
    except redis.RedisError as error:
        fail(explain(error, broker), EXIT_LOST)
    except msgspec.DecodeError as error:
        fail(f"what Redis holds was written by another version of Shakeout: {error}", EXIT_USAGE)
