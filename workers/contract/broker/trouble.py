"""What Redis, or the way to it, answers instead of an answer: in plain words, with what to do.

The servers' own words differ by version; each rule below was seen from Redis 6.2, 7.0 or Valkey 9, or from
redis-py on the way there.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from workers.contract.broker import names
from workers.contract.broker.connection import TIMEOUT_S, masked, user_of

_LONGEST = 300
"""Characters kept of an answer that no rule knows: redis-py may put whole connection pools into one."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """`pattern` is looked for in the error's type and text; its groups go into `words`.

    `lasting`: trying again cannot help, somebody has to change something first. `scheme`: only there.
    """

    pattern: str
    words: str
    lasting: bool = False
    scheme: str = ""


_DENIED = "ask the server's administrator for"
_FULL = r"^OutOfMemoryError|\bOOM\b"
_SPOILT = "WRONGTYPE"
_RULES = (
    # Sentinel first: redis-py packs the other errors into this one
    _Rule(
        r"^MasterNotFoundError: .* auth:",
        "the Sentinels want another login: add ?sentinel_password=PASSWORD (and &sentinel_username=USER) to "
        "the address; it is not the password of Redis itself",
        lasting=True,
    ),
    _Rule(
        r"^MasterNotFoundError: No master found for '(?P<master>[^']*)' : ",
        "no Sentinel that can be reached knows where {master} is: start one, or correct hosts and ports "
        "(a Sentinel listens at 26379 unless told otherwise)",
    ),
    _Rule(
        r"^MasterNotFoundError: No master found for '(?P<master>[^']*)'",
        "the Sentinels name no healthy primary called {master}: correct the name at the end of the address "
        "(SENTINEL MASTERS lists them), or wait for the failover to end",
    ),
    # the login
    _Rule(
        r"HELLO must be called with|NOAUTH|Authentication required",
        "it wants a password and the address has none: write {scheme}://USER:PASSWORD@HOST "
        "(or :PASSWORD@HOST for the default user)",
        lasting=True,
    ),
    _Rule(
        r"invalid username-password|WRONGPASS|invalid password",
        "the password of {user} is wrong, or there is no such user, or it is switched off "
        "(percent-encode : / @ and the like in a password)",
        lasting=True,
    ),
    _Rule(r"^Auth\w*Error", "the login of {user} failed ({text})", lasting=True),
    # permissions
    _Rule(
        r"no permissions to run the '(?P<command>[^']+)' command",
        "{user} may not run {command}: " + _DENIED + " ACL SETUSER {name} +{command}",
        lasting=True,
    ),
    _Rule(
        r"executing the script can't run this command",
        "{user} may not run a command of Shakeout's Lua scripts, and the server does not say which: "
        "`shakeout doctor` names it",
        lasting=True,
    ),
    _Rule(
        r"[Nn]o permissions to access (?:a|one of the) channel",
        "{user} may not publish Celery's events: " + _DENIED + " ACL SETUSER {name} "
        "&/{db}." + names.EVENTS + "/*",
        lasting=True,
    ),
    _Rule(
        r"[Nn]o permissions to access|can't access at least one of the keys",
        "{user} may not use one of the keys of Shakeout: " + _DENIED + " ACL SETUSER {name} ~shakeout:* "
        "(or as little as `shakeout doctor` names)",
        lasting=True,
    ),
    _Rule(r"NOPERM|^NoPermissionError", "{user} may not do that: {text}", lasting=True),
    # the state of the server
    _Rule(r"LOADING|^BusyLoadingError", "it is still loading its data: wait until it is done"),
    _Rule(
        r"MISCONF",
        "it takes no writes because it cannot save to its disk: make room there and read the server's log",
    ),
    _Rule(
        _FULL,
        "its memory is full (maxmemory) and it takes no writes: give it more, or delete other people's keys",
    ),
    _Rule(
        r"^ReadOnlyError|READONLY|previous master is now a slave",
        "it is a replica and takes no writes: use the primary's address, or sentinel://HOST:PORT/MASTER, "
        "which finds the primary by itself",
    ),
    _Rule(
        r"NOREPLICAS", "too few replicas follow it (min-replicas-to-write): start them, or lower the setting"
    ),
    _Rule(r"MASTERDOWN|^MasterDownError", "it is a replica that has lost its primary: start the primary"),
    _Rule(r"^BUSY\b|: BUSY ", "it is busy with somebody's script: SCRIPT KILL there ends it"),
    _Rule(r"max number of clients|^MaxConn", "it has no room for another client: raise maxclients there"),
    _Rule(
        r"^(?:Moved|Ask|ClusterCrossSlot|CrossSlot)\w*Error|cluster support disabled",
        "it is a Redis Cluster, in which one step cannot touch several keys: use a server without cluster "
        "mode, with Sentinel for failover",
        lasting=True,
    ),
    _Rule(r"CLUSTERDOWN|^ClusterDownError", "it is a Redis Cluster, and down: use a server without it"),
    _Rule(
        r"[Uu]nknown command [`'\"]?(?P<command>\w+)",
        "it does not know the command {command}: Shakeout needs Redis 6.2 or newer, or Valkey",
        lasting=True,
    ),
    _Rule(
        r"Unknown (?:Redis )?command called from",
        "it does not know a command of Shakeout's Lua scripts: Shakeout needs Redis 6.2 or newer, or Valkey",
        lasting=True,
    ),
    _Rule(
        r"DB index is out of range",
        "it has no database {db}: use a smaller number at the end of the address, or raise `databases` there",
        lasting=True,
    ),
    # TLS
    _Rule(
        r"CERTIFICATE_VERIFY_FAILED.*(?:mismatch|doesn't match|not valid for)",
        "its certificate is for another name than {host}: use the name in the certificate, or add "
        "?ssl_check_hostname=false if you trust the network",
        lasting=True,
    ),
    _Rule(
        r"CERTIFICATE_VERIFY_FAILED.*expired",
        "its certificate has expired, or the clock of this host is wrong: renew the one, set the other",
        lasting=True,
    ),
    _Rule(
        r"CERTIFICATE_VERIFY_FAILED",
        "its certificate is of an authority that this host does not know: add ?ssl_ca_certs=FILE",
        lasting=True,
    ),
    _Rule(
        r"NO_CERTIFICATE_OR_CRL_FOUND|PEM lib|KEY_VALUES_MISMATCH|NO_START_LINE",
        "a file named in the address is no certificate or key in PEM form, or they do not belong together: "
        "correct ssl_ca_certs, ssl_certfile and ssl_keyfile",
        lasting=True,
    ),
    _Rule(r"WRONG_VERSION_NUMBER|RECORD_LAYER", "no TLS is spoken there: say redis:// instead of rediss://"),
    _Rule(
        r"EOF occurred in violation|CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|ALERT",
        "it ends the TLS handshake: it may want a certificate of yours, "
        "?ssl_certfile=FILE&ssl_keyfile=FILE (tls-auth-clients)",
    ),
    # the way there
    _Rule(
        r"Error 111\b|Connection refused|Connection closed|reset by peer",
        "the primary that the Sentinels name is gone: they choose another one within seconds",
        scheme="sentinel",
    ),
    _Rule(
        r"Error 111\b|Connection refused",
        "nothing listens there: start Redis, or correct host and port",
    ),
    _Rule(
        r"Error -[2358]\b|Name or service not known|Temporary failure in name|No address associated",
        "the host name {host} does not resolve: correct it, or wait for the name service",
    ),
    _Rule(
        r"Error 2\b|No such file", "there is no such socket: start Redis, or correct its path", scheme="unix"
    ),
    _Rule(
        r"Error 13\b|Permission denied",
        "this process may not open that socket: change `unixsocketperm` there, or the group of this process",
        lasting=True,
        scheme="unix",
    ),
    _Rule(
        r"^(?:TimeoutError|timeout)\b|[Tt]imed? ?out",
        f"no answer within {TIMEOUT_S:g} s: if it is a server without TLS say redis://; else the host is "
        "wrong, a firewall drops the packets, or the server hangs",
        scheme="rediss",
    ),
    _Rule(
        r"^(?:TimeoutError|timeout)\b|[Tt]imed? ?out",
        f"no answer within {TIMEOUT_S:g} s: the host is wrong, a firewall drops the packets, or it hangs",
    ),
    _Rule(
        r"Error (?:101|113)\b|unreachable|No route",
        "there is no way to this host: correct it, or the network",
    ),
    _Rule(
        r"^InvalidResponse",
        "what answers there is no Redis: correct host and port (or say rediss:// if it is one with TLS)",
    ),
    _Rule(
        _SPOILT,
        "a key of Shakeout's holds what Shakeout never puts there: see who else writes to this database, "
        "look with TYPE at the keys shakeout:*, and delete the odd one",
    ),
    _Rule(
        r"Connection closed|reset by peer|Broken pipe|Connection aborted",
        "it closed the connection: it was ended or restarted, or it speaks TLS only (then say rediss://)",
        scheme="redis",
    ),
    _Rule(
        r"Connection closed|reset by peer|Broken pipe|Connection aborted",
        "it closed the connection: it was ended or restarted",
    ),
)  # fmt: skip


def explain(error: BaseException, url: str) -> str:
    """What went wrong with the broker at `url` ("" where it is not at hand), and what to do; no password."""
    return (f"Redis at {masked(url)}: " if url else "Redis: ") + _words(error, url)


def what_and_do(error: BaseException, url: str) -> tuple[str, str]:
    """The same in two parts: what is wrong, and what to do about it ("" where nobody knows)."""
    what, _, do = _words(error, url).partition(": ")
    return what, do


def is_lasting(error: BaseException) -> bool:
    """Whether trying again cannot help: wrong login, missing permission, too old a server, foreign CA."""
    rule, _ = _found(error)
    return rule is not None and rule.lasting


def is_known(error: BaseException) -> bool:
    """Whether it is the server's state or the way to it, so nothing that the caller has done wrong."""
    return _found(error)[0] is not None


def is_full(error: BaseException) -> bool:
    """Whether the server has no room: Redis 6.2 says so inside another error where a script has asked."""
    return re.search(_FULL, f"{type(error).__name__}: {error}") is not None


def is_spoilt(error: BaseException) -> bool:
    """Whether a key holds another kind of value than all of Shakeout ever puts there."""
    return _SPOILT in str(error)


def _words(error: BaseException, url: str) -> str:
    rule, groups = _found(error, urlsplit(url).scheme)
    place = urlsplit(url)
    name = user_of(url)
    text = str(error) or type(error).__name__
    if rule is None:
        return text[:_LONGEST]
    known = {
        "scheme": place.scheme,
        "user": f"user {name}" if name != "default" else "the default user",
        "name": name,
        "host": place.netloc.rpartition("@")[2].partition(":")[0],
        "db": place.path.rpartition("/")[2] or "0",
        "text": text[:_LONGEST],
    }
    return rule.words.format_map(known | groups)


def _found(error: BaseException, scheme: str = "") -> tuple[_Rule | None, dict[str, str]]:
    """The first rule (of this scheme, if given) that knows the error, or what it was raised from."""
    cause: BaseException | None = error
    for _ in range(3):
        if cause is None:
            break
        said = f"{type(cause).__name__}: {cause}"
        for rule in _RULES:
            match = re.search(rule.pattern, said) if not scheme or rule.scheme in {"", scheme} else None
            if match:
                return rule, {key: value for key, value in match.groupdict().items() if value}
        cause = cause.__cause__
    return None, {}
