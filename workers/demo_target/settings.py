"""What the demo target can be told, and how its flags are read."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workers import parent

MAX_TOKENS = 100_000  # bounds the memory that one answer can take
UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h)")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One demo target; the defaults are those of a campaign's `demo` mapping (CAMPAIGN.md section 4)."""

    host: str = "127.0.0.1"
    port: int = 0  # 0: a free one, told on stdout
    ttft_s: float = 0.050  # a generation's first token, from the receipt of its request
    gap_s: float = 0.010  # between two tokens
    tokens: int = 32  # length of a generation that no max_tokens cuts
    service_time_s: float = 0.005  # an inference's answer, from the receipt of its request
    error_share: float = 0.0  # of the valid inference requests, answered 503
    seed: int = 0  # of the choice which ones
    slots: int = 0  # requests worked on at once, the others wait in line; 0: no limit
    model: str = "demo"
    log: Path | None = None


def duration_s(text: str) -> float:
    """Seconds of a duration such as `50ms` or `1.5s`; raises ArgumentTypeError on anything else."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write a number and a unit, such as 50ms")
    return float(match[1]) * UNITS_S[match[2]]


def share(text: str) -> float:
    """A percentage such as `2.5%` as a share of 1; raises ArgumentTypeError on anything else."""
    match = _PERCENT.fullmatch(text)
    if match is None or float(match[1]) > 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no percentage from 0% to 100%, such as 2.5%")
    return float(match[1]) / 100


def parse(argv: Sequence[str]) -> Settings:
    """Read the flags; a wrong one ends the process with exit code 2 and a usage line on stderr."""
    flags = _flags().parse_args(argv)
    return Settings(
        host=flags.host,
        port=flags.port,
        ttft_s=flags.ttft,
        gap_s=flags.gap,
        tokens=flags.tokens,
        service_time_s=flags.service_time,
        error_share=flags.error_rate,
        seed=flags.seed,
        slots=flags.slots,
        model=flags.model,
        log=flags.log,
    )


def _flags() -> argparse.ArgumentParser:
    own = Settings()
    flags = argparse.ArgumentParser(
        prog="shakeout demo-target",
        description="A target to try campaigns on: chat, completions and Triton's generate that repeat the "
        "prompt's words, V2 (JSON or binary) and TensorFlow inferences that sum their rows, embeddings that "
        "count the letters of words; at exact times.",
    )
    flags.add_argument("--host", default=own.host, help="address to listen on (%(default)s)")
    flags.add_argument("--port", type=_number(0, 65_535), default=own.port, help="0: a free one")
    flags.add_argument("--ttft", type=duration_s, default=own.ttft_s, help="time to the first token (50ms)")
    flags.add_argument("--gap", type=duration_s, default=own.gap_s, help="time between tokens (10ms)")
    flags.add_argument("--tokens", type=_number(1, MAX_TOKENS), default=own.tokens, help="(%(default)s)")
    flags.add_argument("--service-time", type=duration_s, default=own.service_time_s, help="inference (5ms)")
    flags.add_argument("--error-rate", type=share, default=own.error_share, help="answered 503 (0%%)")
    flags.add_argument("--seed", type=int, default=own.seed, help="of the errors (%(default)s)")
    flags.add_argument("--slots", type=_number(0, 1_000_000), default=own.slots, help="at once; 0: no limit")
    flags.add_argument("--model", default=own.model, help="name that /v1/models tells (%(default)s)")
    flags.add_argument("--log", type=Path, help="append every request's id and times to this file")
    flags.add_argument(parent.FLAG, nargs="?", metavar="PID", help="die when the parent process does")
    return flags


class _number:  # noqa: N801  # argparse shows the type's name to the user
    """A whole number within bounds."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def __call__(self, text: str) -> int:
        if not text.isdecimal() or not self.low <= int(text) <= self.high:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {self.low} to {self.high}")
        return int(text)
