"""What a worker is told: its flags and, here alone, its environment."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from workers import parent
from workers.contract.addresses import LIMITS_VARIABLE, parse_limits
from workers.contract.broker import names
from workers.contract.calibration import where_kept
from workers.contract.errors import ContractError
from workers.contract.left_ledgers import where_noted
from workers.contract.proxies import ProxyWant, parse_proxy
from workers.contract.signed.signing import NO_KEYS, Keys, read_keys
from workers.contract.signed.trust import KEY_VARIABLE, SECRET_VARIABLES, SUBMITTERS_VARIABLE, require_keys

_NO_BROKER = "redis://127.0.0.1"
"""Never spoken to."""
MOST_SLOTS = 256
"""Engines of one worker; each is a process."""
MOST_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One worker's settings. `allow_targets`: entries `host[:port]` or CIDR beside loopback.

    `home`: scratch directory for watermarks, the ledger of faults, cached files. `demo_pid`: process of the
    demo target on this host. `secrets`: directory of `${file:NAME}`; `environment`: of `${env:NAME}`, and of
    what it starts, without this process's own secrets. `keys`: whose tasks it takes; `people`: whose halts,
    resumes and drains too. `warning`: what to say at the start. `calibration`: the file of this host's.
    `left_ledgers`: the folder of notes of ledgers that earlier runs left open. `user_code`: folders whose
    locustfiles may be run here. `target_limits`: HOST:PORT -> requests per second that all engines of this
    worker together may send there. `webhook`: host and port on which Alertmanager's webhooks are taken.
    `proxies`: those that stand as long as this worker.
    """

    name: str
    slots: int
    labels: tuple[str, ...]
    broker: str = field(repr=False)
    allow_targets: tuple[str, ...]
    home: Path
    secrets: Path
    demo_pid: int | None
    environment: Mapping[str, str] = field(repr=False)
    calibration: Path | None = None
    left_ledgers: Path | None = None
    keys: Keys = NO_KEYS
    people: Keys = NO_KEYS
    warning: str = ""
    user_code: tuple[Path, ...] = ()
    target_limits: Mapping[str, float] = field(default_factory=dict)
    webhook: tuple[str, int] | None = None
    proxies: tuple[ProxyWant, ...] = ()


def parse(argv: Sequence[str], environment: Mapping[str, str] = os.environ) -> Settings:
    """Read flags and environment; a wrong one ends the process with exit code 2 and a line on stderr."""
    parser = _flags()
    flags = parser.parse_args(argv)
    broker = flags.broker or environment.get("SHAKEOUT_BROKER", "")
    if not broker:
        parser.error("no broker: say --broker redis://HOST:PORT or set SHAKEOUT_BROKER")
    demo_pid = environment.get("SHAKEOUT_DEMO_PID", "")
    if demo_pid and not demo_pid.isdecimal():
        parser.error(f"SHAKEOUT_DEMO_PID is {demo_pid!r}: say the pid of the demo target's process")
    keys = _keys(KEY_VARIABLE, environment, parser)
    warning = _trusting(keys, broker, parser)
    listed = [entry.strip() for entry in environment.get("SHAKEOUT_ALLOW_TARGETS", "").split(",")]
    home = environment.get("SHAKEOUT_HOME") or Path.home() / ".cache" / "shakeout"
    # systemd's and the container engines' places for credentials
    secrets = (
        environment.get("SHAKEOUT_SECRETS") or environment.get("CREDENTIALS_DIRECTORY") or "/run/secrets"
    )
    return Settings(
        name=flags.name,
        slots=flags.slots,
        labels=tuple(dict.fromkeys([*flags.label, *([names.WEBHOOK_LABEL] if flags.webhook else [])])),
        broker=broker,
        allow_targets=tuple(dict.fromkeys([*filter(None, listed), *flags.allow_target])),
        home=Path(home).absolute(),
        secrets=Path(secrets),
        demo_pid=int(demo_pid) if demo_pid else None,
        environment={name: value for name, value in environment.items() if name not in SECRET_VARIABLES},
        calibration=where_kept(environment).absolute(),
        left_ledgers=where_noted(environment).absolute(),
        keys=keys,
        people=keys.and_also(_keys(SUBMITTERS_VARIABLE, environment, parser)),
        warning=warning,
        user_code=_folders([*environment.get("SHAKEOUT_USER_CODE", "").split(os.pathsep), *flags.user_code]),
        target_limits=_limits(flags.target_limit, environment, parser),
        webhook=flags.webhook,
        proxies=tuple(flags.proxy),
    )


def _limits(
    flags: Sequence[str], environment: Mapping[str, str], parser: argparse.ArgumentParser
) -> dict[str, float]:
    try:
        return parse_limits([*environment.get(LIMITS_VARIABLE, "").split(","), *flags])
    except ContractError as error:
        parser.error(str(error))


def _folders(listed: Sequence[str]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(Path(folder).absolute() for folder in listed if folder))


def lone(allow_targets: Sequence[str], environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings of a process without a fleet, which sends a single request. Raises ContractError."""
    told = parse(["--name", "replay"], {**environment, "SHAKEOUT_BROKER": _NO_BROKER, KEY_VARIABLE: ""})
    listed = dict.fromkeys([*told.allow_targets, *allow_targets])
    return replace(told, allow_targets=tuple(listed), warning="")


def _keys(variable: str, environment: Mapping[str, str], parser: argparse.ArgumentParser) -> Keys:
    try:
        return read_keys(environment.get(variable, ""))
    except ContractError as error:
        parser.error(f"{variable}: {error}")


def _trusting(keys: Keys, broker: str, parser: argparse.ArgumentParser) -> str:
    """What to warn of where nothing is signed; ends the process where that must not be."""
    try:
        return require_keys(keys, broker=broker)
    except ContractError as error:
        parser.error(str(error))


def _flags() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        prog="shakeout worker",
        description="Run this machine's shards of campaigns.",
    )
    flags.add_argument("--name", type=_name, required=True, help="unique in the fleet")
    flags.add_argument("--slots", type=_slots, default=1, help="shards run at once (%(default)s)")
    flags.add_argument("--label", action="append", default=[], help="what `where` may ask for; repeatable")
    flags.add_argument(
        "--allow-target", action="append", default=[], metavar="HOST[:PORT]|CIDR",
        help="a target that may be loaded from here, beside loopback; repeatable",
    )  # fmt: skip
    flags.add_argument(
        "--target-limit", action="append", default=[], metavar="HOST:PORT=RATE",
        help="most that all engines of this worker together may send a target, e.g. 10.0.0.5:8000=200/s; "
        "each slot has its part of it; repeatable",
    )  # fmt: skip
    flags.add_argument(
        "--user-code", action="append", default=[], metavar="DIR",
        help="a folder whose locustfiles may be run here; repeatable",
    )  # fmt: skip
    flags.add_argument(
        "--webhook", type=_place, metavar="[HOST:]PORT",
        help="take Alertmanager's webhooks here (127.0.0.1 unless a host is given), so that campaigns see "
        "how long an alert's way was",
    )  # fmt: skip
    flags.add_argument(
        "--proxy", action="append", default=[], type=_proxy, metavar="LISTEN=HOST:PORT",
        help="a proxy that stands as long as this worker, passing everything on, for tcp-proxy and "
        "dependency faults with that `listen`; repeatable",
    )  # fmt: skip
    flags.add_argument(
        "--broker", metavar="URL",
        help="address of the fleet's Redis, redis://, rediss:// or sentinel://; else SHAKEOUT_BROKER",
    )  # fmt: skip
    flags.add_argument(parent.FLAG, nargs="?", metavar="PID", help="die when the parent process does")
    return flags


def _name(text: str) -> str:
    if not names.is_worker_name(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no worker name: use letters, digits and . _ -, at most 63"
        )
    return text


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > MOST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no place to listen: say PORT or HOST:PORT")
    return host.strip("[]") or "127.0.0.1", int(port)


def _proxy(text: str) -> ProxyWant:
    try:
        return parse_proxy(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _slots(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_SLOTS:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to {MOST_SLOTS}")
    return int(text)
