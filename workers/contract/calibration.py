"""What one engine can do on a host: measured by `doctor --calibrate`, kept in a file, on worker cards."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from workers.contract.errors import ContractError

LAG_P99_S = 0.01
"""Up to here a rate counts as kept: the default of `validity.lag_p99`."""
VARIABLE = "SHAKEOUT_CALIBRATION"
FILE = "calibration.json"


class CalibrationError(ContractError):
    """A calibration that cannot be read or kept; says which file and what to do."""


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """The most that one engine, so one core, kept up with here while p99 of lag and of hub delay was small.

    `requests_per_s`: small JSON requests, open loop. `streams`: at once, each of 20 tokens a second.
    `..._limited_by`: what ended the climb; `disturbed`: it was others who used the host. `lag_p99_s`: the
    limit that was kept. `at`: ISO 8601, UTC. `version`, `cpu`, `python`: of Shakeout and the host; with
    others it says nothing.
    """

    requests_per_s: float
    streams: int
    requests_limited_by: str
    streams_limited_by: str
    at: str
    version: str
    cpu: str
    python: str
    cores: int
    disturbed: bool = False
    lag_p99_s: float = LAG_P99_S


def where_kept(environment: Mapping[str, str]) -> Path:
    """The file of this host: SHAKEOUT_CALIBRATION, else in the state folder of its workers."""
    said = environment.get(VARIABLE, "")
    home = environment.get("SHAKEOUT_HOME", "")
    return Path(said) if said else (Path(home) if home else Path.home() / ".cache" / "shakeout") / FILE


def keep(calibration: Calibration, path: Path) -> None:
    """Write it, whole or not at all. Raises CalibrationError."""
    draft = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(calibration), indent=2) + b"\n")
        draft.replace(path)
    except OSError as error:
        why = f"{path} cannot be written: {error.strerror}; say where by {VARIABLE}"
        raise CalibrationError(why) from error


def recall(path: Path) -> Calibration | None:
    """What was kept; None where this host was never calibrated. Raises CalibrationError."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CalibrationError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return msgspec.json.decode(text, type=Calibration)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        why = f"{path} is no calibration ({error}); run `shakeout doctor --calibrate`"
        raise CalibrationError(why) from error


def differs(calibration: Calibration, *, version: str, cpu: str, python: str) -> str:
    """Why a calibration says nothing here: it was made with another version, processor or Python; else ""."""
    pairs = [("version", calibration.version, version), ("cpu", calibration.cpu, cpu)]
    pairs.append(("python", calibration.python, python))
    other = [f"{name} {was or 'unknown'}, here {now}" for name, was, now in pairs if was != now]
    return f"calibrated with {'; '.join(other)}: run `shakeout doctor --calibrate`" if other else ""
