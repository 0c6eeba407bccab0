"""The broker's part of a check-up, second half: what server it is, its disk, its memory, its settings."""

from collections.abc import Iterator, Mapping
from typing import Any

import redis

from orchestrator.checkup.access import Visit, finding
from orchestrator.checkup.finding import Finding, Level
from workers.contract.broker.server import KEEPS, evicts, is_cluster, too_old
from workers.contract.broker.trouble import is_lasting, what_and_do

MEMORY_TIGHT, MEMORY_FULL = 0.8, 0.95
IDLE_S = 60
"""A server that drops clients which say nothing for less than this drops waiting workers."""
_MIB = 2**20


def server(visit: Visit) -> Iterator[Finding]:
    """What kind of server it is, what state it is in, and how it is set up."""
    try:
        info = visit.client.info()
    except redis.ResponseError as error:
        yield finding("server", "problem", *what_and_do(error, visit.url))
        return
    yield from (_version(info), _role(info), *_disk(info), *_memory(info))
    yield _settings(visit)


def _version(info: Mapping[str, Any]) -> Finding:
    kind = str(info.get("server_name", "redis")).capitalize()
    version = info.get("valkey_version", info.get("redis_version", "unknown"))
    words = f"{kind} {version}" + (f" (like Redis {info['redis_version']})" if kind == "Valkey" else "")
    old = too_old(dict(info))
    if old:
        return finding("server", "problem", *_parted(old))
    if is_cluster(dict(info)):
        do = "use a server without cluster mode, with Sentinel for failover"
        return finding(
            "server", "problem", f"{words} in cluster mode, where one step cannot touch several keys", do
        )
    up = int(info.get("uptime_in_seconds", 0))
    return finding("server", "ok", f"{words}, up for {up:,} s, run id {str(info.get('run_id', ''))[:12]}")


def _role(info: Mapping[str, Any]) -> Finding:
    if info.get("role") != "master":
        primary = f"{info.get('master_host')}:{info.get('master_port')}"
        do = f"use the primary's address ({primary}), or sentinel://HOST:PORT/MASTER"
        return finding("primary", "problem", "it is a replica, and takes no writes", do)
    replicas = int(info.get("connected_slaves", 0))
    return finding("primary", "ok", f"it is the primary, {replicas} replicas follow")


def _disk(info: Mapping[str, Any]) -> Iterator[Finding]:
    bad = [
        name
        for name in ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status")
        if info.get(name, "ok") != "ok"
    ]
    if bad:
        do = "make room on its disk and read its log"
        yield finding("persistence", "problem", f"the last save failed ({', '.join(bad)})", do)
    elif int(info.get("aof_enabled", 0)):
        yield finding("persistence", "ok", "append-only file")
    else:
        do = "CONFIG SET appendonly yes, and the same in its configuration file"
        yield finding("persistence", "warning", "no append-only file: a restart ends all campaigns", do)


def _memory(info: Mapping[str, Any]) -> Iterator[Finding]:
    policy = str(info.get("maxmemory_policy", ""))
    if not policy:
        yield finding(
            "memory policy", "warning", "the server does not say it", f"make sure that it is {KEEPS}"
        )
    elif policy == KEEPS:
        yield finding("memory policy", "ok", policy)
    else:
        yield finding("memory policy", "problem", *_parted(evicts(policy)))
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if not most:
        yield finding("memory", "ok", f"{used / _MIB:,.0f} MiB used, no limit")
        return
    share = used / most
    level: Level = "problem" if share > MEMORY_FULL else "warning" if share > MEMORY_TIGHT else "ok"
    what = f"{used / _MIB:,.0f} of {most / _MIB:,.0f} MiB used ({share:.0%})"
    do = "" if level == "ok" else "raise maxmemory: when it is full no new campaign is taken"
    yield finding("memory", level, what, do)


def _settings(visit: Visit) -> Finding:
    try:
        told: dict[str, str] = {}
        for name in ("timeout", "appendfsync"):  # Redis 6.2 takes one a call
            told |= visit.client.config_get(name)  # type: ignore[arg-type]
    except redis.ResponseError as error:
        why = "the user may not" if is_lasting(error) else str(error)
        return finding("settings", "ok", f"could not be asked ({why}: CONFIG GET); Shakeout does not need it")
    idle = int(told.get("timeout", 0))
    if 0 < idle < IDLE_S:
        return finding(
            "settings", "warning", f"it drops clients that are silent for {idle} s", "CONFIG SET timeout 0"
        )
    if told.get("appendfsync") == "no":
        do = "CONFIG SET appendfsync everysec"
        return finding("settings", "warning", "appendfsync no: a crash of its host loses many seconds", do)
    return finding("settings", "ok", f"appendfsync {told.get('appendfsync', 'unknown')}, timeout {idle}")


def _parted(words: str) -> tuple[str, str]:
    """What is wrong, and after the colon what to do."""
    what, _, do = words.partition(": ")
    return what, do
