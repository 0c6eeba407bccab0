"""Commands that experiments run, known by what they do: kill, pkill, stress-ng, tc, iptables. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from orchestrator.campaign.units import DURATION_UNITS
from orchestrator.chaostoolkit.argv import argv_of, flags_of, name_of
from orchestrator.chaostoolkit.experiment import Command
from orchestrator.chaostoolkit.meanings import (
    Meaning,
    Pause,
    Undo,
    Unmapped,
    Wanted,
    neutral,
    number,
    percentage,
)

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.-]+")
_LOADERS: Final = frozenset(
    {"ab", "artillery", "bombardier", "fortio", "ghz", "hey", "jmeter", "k6", "locust", "oha", "siege"}
    | {"vegeta", "wrk", "wrk2"}
)
_HARMLESS: Final = frozenset({"cat", "date", "echo", "logger", "ls", "printf", "true"})
_SUFFIX_SIZES: Final[Mapping[str, str]] = {"": "B", "b": "B", "k": "KiB", "m": "MiB", "g": "GiB", "t": "TiB"}
_STRESSORS: Final[Mapping[str, str]] = {
    "-c": "--cpu", "-m": "--vm", "-d": "--hdd", "-i": "--io", "--iomix": "--iomix",
}  # fmt: skip
_OF_NETEM: Final = ("corrupt", "distribution", "duplicate", "gap", "slot")
_OF_IPTABLES: Final = (
    "-A", "-I", "-D", "-p", "--dport", "--sport", "--dports", "--sports", "-s", "-d", "-j", "-m", "--mode",
    "--probability", "-w", "--comment", "--reject-with",
)  # fmt: skip
_NARROWING: Final = (
    "-i", "-o", "--state", "--ctstate", "--uid-owner", "--gid-owner", "--limit", "--every", "--icmp-type",
    "--tcp-flags", "--mac-source", "--string",
)  # fmt: skip
_SIGNALS: Final[Mapping[str, str]] = {
    "1": "HUP", "2": "INT", "3": "QUIT", "6": "ABRT", "9": "KILL", "10": "USR1", "11": "SEGV", "12": "USR2",
    "15": "TERM", "18": "CONT", "19": "STOP", "20": "STOP",
}  # fmt: skip


def meaning_of_command(command: Command) -> Meaning:
    """What a process that an experiment starts would do here; one that nobody knows is a `command` fault."""
    words = argv_of(command)
    if words is None:
        return Unmapped("it is a script for a shell: put it into a file, and say that as a `command` fault")
    name = name_of(words[0])
    if name in _LOADERS:
        return Unmapped("it makes load, of which a campaign has its own: raise the rate of the loads")
    if name in _HARMLESS:
        return Unmapped("it breaks nothing: what people are to be told is a step of gameday.runbook")
    reader = _READERS.get(name)
    return reader(words[1:]) if reader is not None else own_command(words)


def own_command(words: Sequence[str]) -> Wanted:
    """A command of the users' own; how it is seen and taken back is theirs to say."""
    name = name_of(words[0])
    to_do = f"put {words[0]}, or a script that calls it, into a folder that the workers list (--user-code)"
    options: dict[str, object] = {"inject": [name, *words[1:]]}
    undo = f"command:{neutral([name, *words[1:]])}"
    return Wanted(fault="command", options=options, undo=undo, to_do=(to_do,))


def words_of(command: Command) -> list[str] | None:
    """The command's words, its program by its name alone; None where a shell is needed."""
    words = argv_of(command)
    return None if words is None else [name_of(words[0]), *words[1:]]


def _pkill(words: Sequence[str]) -> Meaning:
    flags, rest = flags_of(words, with_value=("-F", "--pidfile", "-u", "-U", "-t", "-P", "-s", "--signal"))
    if "-F" in flags or "--pidfile" in flags:
        match: dict[str, object] = {"pidfile": flags.get("-F") or flags["--pidfile"]}
    elif len(rest) != 1:
        return Unmapped("which process it is for cannot be seen from its words")
    elif "-f" in flags or "--full" in flags or not _PLAIN.fullmatch(rest[0]):
        match = {"cmdline": rest[0]}
    else:
        match = {"name": rest[0]}
    return _signalled(_signal(flags), match)


def _killall(words: Sequence[str]) -> Meaning:
    flags, rest = flags_of(words, with_value=("-s", "--signal", "-u"))
    if len(rest) != 1:
        return Unmapped("which process it is for cannot be seen from its words")
    return _signalled(_signal(flags), {"name": rest[0], "processes": "all"})


def _kill(words: Sequence[str]) -> Meaning:
    flags, rest = flags_of(words, with_value=("-s", "-n", "--signal"))
    if len(rest) == 1 and rest[0].startswith("PIDFILE="):
        return _signalled(_signal(flags), {"pidfile": rest[0].removeprefix("PIDFILE=")})
    return Unmapped("a pid means nothing the next time: say `match` by port, name, cmdline or pidfile")


def _signalled(signal: str, match: Mapping[str, object]) -> Meaning:
    word = f"signal:{sorted(match.items())}"
    if signal == "CONT":
        return Undo(word)
    if signal == "STOP":
        return Wanted(fault="pause-process", match=match, undo=word)
    return Wanted(fault="kill-process", match=match, options={"signal": signal})


def _signal(flags: Mapping[str, str]) -> str:
    """The signal that the flags say; TERM where they say none."""
    said = flags.get("-s") or flags.get("--signal") or flags.get("-n")
    if not said:
        said = next((flag[1:] for flag in flags if re.fullmatch(r"-(\d+|[A-Z][A-Z0-9]{1,9})", flag)), "TERM")
    said = said.upper().removeprefix("SIG")
    return _SIGNALS.get(said, said)


def _stress(words: Sequence[str]) -> Meaning:
    taking = (
        "--cpu", "-c", "--cpu-load", "-l", "--timeout", "-t", "--vm", "-m", "--vm-bytes", "--vm-keep",
        "--hdd", "-d", "--hdd-bytes", "--temp-path", "--io", "-i", "--iomix",
    )  # fmt: skip
    flags, _ = flags_of(words, with_value=taking)
    found = _stressed(flags)
    if found is None:
        return Unmapped("of stress and stress-ng, --cpu, --vm and --hdd are known")
    stressor, fault, options = found
    others = [
        one for short, one in _STRESSORS.items() if one != stressor and (one in flags or short in flags)
    ]
    return Wanted(
        fault=fault,
        options=options,
        for_s=_seconds(flags.get("--timeout") or flags.get("-t") or ""),
        undo="stress",
        lost=tuple(f"{one}: only {stressor} is done; say a fault of its own for it" for one in others),
    )


def _stressed(flags: Mapping[str, str]) -> tuple[str, str, dict[str, object]] | None:
    """The first stressor that is known, the fault that it is, and its options."""
    if cores := flags.get("--cpu") or flags.get("-c"):
        load = flags.get("--cpu-load") or flags.get("-l") or "100"
        options: dict[str, object] = {"load": f"{load.rstrip('%')}%"}
        if cores.isdigit() and cores != "0":
            options["cores"] = int(cores)
        return "--cpu", "cpu", options
    if jobs := flags.get("--vm") or flags.get("-m"):
        each = flags.get("--vm-bytes", "256m")
        if each.endswith("%"):
            return "--vm", "memory", {"share": each}
        if size := _size(each, times=int(jobs) if jobs.isdigit() else 1):
            return "--vm", "memory", {"size": size}
    if jobs := flags.get("--hdd") or flags.get("-d"):
        options = {"path": flags.get("--temp-path", "/tmp"), "mode": "write"}  # noqa: S108  # its own default
        if jobs.isdigit() and jobs != "0":
            options["jobs"] = int(jobs)
        return "--hdd", "disk-io", options
    return None


def _sleep(words: Sequence[str]) -> Meaning:
    return Pause(_seconds(words[0]) or 0.0) if words else Unmapped("it does not say how long")


def _tc(words: Sequence[str]) -> Meaning:
    device = words[words.index("dev") + 1] if "dev" in words[:-1] else ""
    undo = f"netem:{device}"
    if words[:2] == ["qdisc", "del"]:
        return Undo(undo)
    if "netem" not in words or not device:
        return Unmapped("of tc, netem on a device is known")
    rest = words[words.index("netem") + 1 :]
    options: dict[str, object] = {"device": device}
    for name in ("delay", "loss", "rate", "reorder"):
        if name in rest[:-1]:
            options[name] = rest[rest.index(name) + 1]
    if "delay" in rest and (after := rest[rest.index("delay") + 2 :]) and after[0][:1].isdigit():
        options["jitter"] = after[0]
    if "rate" in options:
        options["rate"] = _bytes_per_s(str(options["rate"]))
    lost = tuple(f"netem's {word}: not known here" for word in rest if word in _OF_NETEM)
    return Wanted(fault="netem", options=options, undo=undo, lost=lost)


def _iptables(words: Sequence[str]) -> Meaning:
    if "!" in words:
        return Unmapped("all but what is named (`!`) is not known here: say whom the fault is for")
    taking = (*_OF_IPTABLES, *_NARROWING)
    flags, _ = flags_of(words, with_value=taking)
    chain = next((flags[key] for key in ("-A", "-I", "-D") if key in flags), "")
    options: dict[str, object] = {"direction": {"INPUT": "in", "OUTPUT": "out"}.get(chain, "both")}
    if ports := ",".join(
        flags[key] for key in ("--dport", "--sport", "--dports", "--sports") if key in flags
    ):
        if not all(port.isdigit() for port in ports.split(",")):
            return Unmapped(f"ports {ports}: they are named one by one here")
        options["ports"] = [int(port) for port in ports.split(",")]
    if host := flags.get("-s") or flags.get("-d"):
        options["hosts"] = host.split(",")
    if (transport := flags.get("-p", "")) in ("tcp", "udp"):
        options["transport"] = transport
    undo = f"drop:{sorted((key, str(value)) for key, value in options.items())}"
    if "-D" in flags or "-F" in words:
        return Undo(undo)
    if chain not in ("INPUT", "OUTPUT") or flags.get("-j") not in ("DROP", "REJECT"):
        return Unmapped("of iptables, DROP and REJECT in INPUT and OUTPUT are known")
    lost = [
        f"{flag} {flags[flag]}: the fault reaches further than that" for flag in _NARROWING if flag in flags
    ]
    if flags["-j"] == "REJECT":
        lost.append("REJECT: packets are dropped here, and nobody is told")
    if chance := flags.get("--probability"):
        options["share"] = percentage(number(chance))
        return Wanted(fault="packet-loss", options=options, undo=undo, lost=tuple(lost))
    return Wanted(fault="packet-drop", options=options, undo=undo, lost=tuple(lost))


def _fallocate(words: Sequence[str]) -> Meaning:
    flags, rest = flags_of(words, with_value=("-l", "--length", "-o"))
    size = _size(flags.get("-l") or flags.get("--length") or "", times=1)
    if not size or len(rest) != 1:
        return Unmapped("it does not say how much, and where")
    options = {"path": rest[0].rpartition("/")[0] or "/", "size": size}
    return Wanted(fault="disk-fill", options=options, undo=f"file:{rest[0]}")


def _rm(words: Sequence[str]) -> Meaning:
    _, rest = flags_of(words, with_value=())
    return Undo(f"file:{rest[0]}") if len(rest) == 1 else own_command(["rm", *words])


_READERS: Final[Mapping[str, Callable[[Sequence[str]], Meaning]]] = {
    "pkill": _pkill,
    "killall": _killall,
    "kill": _kill,
    "stress": _stress,
    "stress-ng": _stress,
    "sleep": _sleep,
    "tc": _tc,
    "iptables": _iptables,
    "ip6tables": _iptables,
    "fallocate": _fallocate,
    "rm": _rm,
}


def _seconds(text: str) -> float | None:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip())
    return float(found[1]) * float(DURATION_UNITS[found[2] or "s"]) if found else None


def _size(text: str, *, times: int) -> str:
    found = re.fullmatch(r"(\d+)([bkmgt]?)(?:i?b)?", text.strip().lower())
    return f"{int(found[1]) * times}{_SUFFIX_SIZES[found[2]]}" if found else ""


def _bytes_per_s(text: str) -> str:
    """A size per second from tc's bits: `1mbit` is 125kB/s."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(k|m|g)?bit", text.strip().lower())
    if not found:
        return text
    bits = float(found[1]) * {"": 1, "k": 1e3, "m": 1e6, "g": 1e9}[found[2] or ""]
    return f"{round(bits / 8)}B/s"
