#!/usr/bin/env python3
"""Passwords, signing keys and the server's user list for one fleet; needs Python alone.

    deploy/make_secrets.py --to deploy/secrets --server-address redis:6379

Run again it keeps what it made and writes all files anew, so that a new users.acl is taken over. What holds a
secret can be read by its owner alone; `redis/users.acl` holds sha256 sums only and lies in a folder that is
closed to others.
"""

import argparse
import hashlib
import json
import os
import re
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

HERE = Path(__file__).parent
ROLES = ("coordinator", "worker", "submitter", "operator", "flower")
"""Users of Redis that have a password."""
SIGNERS = ("submitter", "operator")
"""Who has a signing key from the start, beside the coordinator."""
FLOWER_LOGIN = "flower-login"
COORDINATOR_KEY = "key:coordinator"
STATE = "state.json"
ADDRESS, NEWEST = "redis:6379", "7.2"
TARGETS = "targets"
"""Folder of what campaigns name as `${file:NAME}`."""
PLACEHOLDER = "<password>"
NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")

State = dict[str, list[str]]
"""Secret's name -> its values, the newest first. All are accepted, the newest is used."""


def main(argv: Sequence[str] | None = None) -> int:
    """Make or renew the files; 0, or 2 and a line on stderr."""
    told = _flags().parse_args(argv)
    folder = Path(told.to)
    try:
        kept = _read(folder / STATE)
        address = told.server_address or kept.get("address", ADDRESS)
        server = told.server or kept.get("server", NEWEST)
        state: State = kept.get("secrets", {})
        renew(state, submitters=told.submitter, rotate=told.rotate, forget=told.forget)
        files = render(state, address=address, server=_version(server))
    except ValueError as error:
        sys.stderr.write(f"make_secrets: {error}\n")
        return 2
    _keep(
        folder / STATE, json.dumps({"address": address, "server": server, "secrets": state}, indent=1) + "\n"
    )
    for name, text in files.items():
        write(folder / name, text)
    (folder / TARGETS).mkdir(exist_ok=True)
    (folder / TARGETS).chmod(0o755)  # read by user 10001 of a container; the folder above is closed
    sys.stdout.write(f"{len(files)} files in {folder}: {', '.join(sorted(files))}\n")
    return 0


def renew(
    state: State, *, submitters: Sequence[str], rotate: Sequence[str] = (), forget: Sequence[str] = ()
) -> None:
    """Make what is missing, put a new value before the old one (`rotate`), drop old ones (`forget`).

    Raises ValueError for a name that is none.
    """
    for name in submitters:
        if not NAME.fullmatch(name) or name in ROLES:
            raise ValueError(
                f"{name!r} is no name for a submitter: small letters, digits and -, no role's name"
            )
    keys = [COORDINATOR_KEY, *(f"key:{name}" for name in (*SIGNERS, *submitters))]
    for name in (*ROLES, FLOWER_LOGIN, *keys):
        state.setdefault(name, [_new()])
    for name in (*rotate, *forget):
        if name not in state:
            raise ValueError(f"there is no secret {name!r}: say one of {', '.join(sorted(state))}")
    for name in rotate:
        state[name].insert(0, _new())
    for name in forget:
        del state[name][1:]


def render(state: State, *, address: str, server: tuple[int, int]) -> dict[str, str]:
    """Every file by its name under the folder.

    `address`: HOST:PORT, with `rediss://` before it where the server speaks TLS. `server`: the version that
    reads users.acl.
    """
    scheme, _, place = address.rpartition("://")
    accepted = ",".join(
        f"{name.removeprefix('key:')}={value}"
        for name, values in state.items()
        if name.startswith("key:") and name != COORDINATOR_KEY
        for value in values
    )
    signing = {
        "SHAKEOUT_SIGNING_KEY": ",".join(f"coordinator={value}" for value in state[COORDINATOR_KEY]),
        "SHAKEOUT_SUBMITTER_KEYS": accepted,
    }
    more: dict[str, dict[str, str]] = {
        "coordinator": signing,
        "worker": signing,
        "flower": {"SHAKEOUT_FLOWER_PASSWORD": state[FLOWER_LOGIN][0]},
    }
    people = [name.removeprefix("key:") for name in state if name.startswith("key:")]
    for name in people:
        if f"key:{name}" != COORDINATOR_KEY:
            more[name] = {"SHAKEOUT_SIGNING_KEY": f"{name}={state[f'key:{name}'][0]}"}
    files = {}
    for name, lines in more.items():
        role = name if name in ROLES else "submitter"
        login = f"{role}:{quote(state[role][0], safe='')}"
        broker = f"{scheme or 'redis'}://{login}@{place}/0"
        files[f"{name}.env"] = _lines({"SHAKEOUT_BROKER": broker, **lines})
    source = (HERE / "redis" / "users.acl").read_text()
    files["redis/users.acl"] = users(source, {role: state[role] for role in ROLES}, server=server)
    return files


def users(source: str, passwords: Mapping[str, Sequence[str]], *, server: tuple[int, int]) -> str:
    """The server's aclfile: comments gone, lines joined, passwords as sha256 sums.

    A server before 7.2 does not know CLIENT SETINFO; one before 7.0 no read-only keys: there roles may write
    what they should only read. Raises ValueError for a user that needs a password and has none.
    """
    joined = re.sub(r"\n[ \t]+", " ", re.sub(r"^#.*\n", "", source, flags=re.MULTILINE))
    lines = []
    for line in filter(None, joined.splitlines()):
        name = line.split()[1]
        if PLACEHOLDER in line and not passwords.get(name):
            raise ValueError(f"users.acl: no password for user {name}")
        sums = " ".join("#" + hashlib.sha256(one.encode()).hexdigest() for one in passwords.get(name, ()))
        lines.append(line.replace(PLACEHOLDER, sums))
    text = "\n".join(lines) + "\n"
    if server < (7, 2):
        text = text.replace(" +client|setinfo", "")
    return text if server >= (7, 0) else text.replace("%R~", "~")


def write(path: Path, text: str) -> None:
    """Write in place: a container sees the new text of a mounted file only if it stays the same file."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    hashed = path.suffix == ".acl"  # read by the server's user, whoever that is in its container
    if hashed:
        path.parent.chmod(0o755)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644 if hashed else 0o600)
    os.fchmod(descriptor, 0o644 if hashed else 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.truncate()


def _keep(path: Path, text: str) -> None:
    """Write whole or not at all: what everything else is made from."""
    new = path.with_suffix(".new")
    write(new, text)
    new.replace(path)


def _flags() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description="Passwords, signing keys and users.acl for one fleet.")
    flags.add_argument("--to", default=str(HERE / "secrets"), metavar="DIR", help="where (%(default)s)")
    flags.add_argument(
        "--server-address",
        type=_address,
        metavar="[rediss://]HOST:PORT",
        help=f"at first {ADDRESS}; remembered",
    )
    flags.add_argument(
        "--server",
        type=_known,
        metavar="VERSION",
        help=f"of Redis, 6.2 or newer; at first {NEWEST}, as Valkey",
    )
    flags.add_argument(
        "--submitter", action="append", default=[], metavar="NAME", help="one more; repeatable"
    )
    flags.add_argument(
        "--rotate", action="append", default=[], metavar="SECRET", help="a new value, old ones stay"
    )
    flags.add_argument(
        "--forget", action="append", default=[], metavar="SECRET", help="its newest value alone stays"
    )
    return flags


def _address(text: str) -> str:
    if not re.fullmatch(r"(rediss?://)?[^\s/@]+:\d+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no address: say HOST:PORT or rediss://HOST:PORT")
    return text


def _known(text: str) -> str:
    if not re.fullmatch(r"\d+\.\d+", text) or _version(text) < (6, 2):
        raise argparse.ArgumentTypeError(f"{text!r} is no server's version from 6.2 on, say 7.0")
    return text


def _version(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text())) if path.exists() else {}
    except ValueError as error:
        raise ValueError(
            f"{path} cannot be read ({error}): restore it, or remove it to make all anew"
        ) from error


def _new() -> str:
    return secrets.token_urlsafe(32)


def _lines(values: Mapping[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in values.items())


if __name__ == "__main__":
    sys.exit(main())
