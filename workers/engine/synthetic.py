"""Made-up prompts: a pure function of (seed, index), so every shard and every attempt makes the same row.

Randomness is SplitMix64 over the index (Steele, Lea & Flood, OOPSLA 2014): no state, no numpy call a row.
The words come from a tape that is drawn once; the first four after the shared prefix spell the index, so the
first 2^32 prompts differ early and a target's prefix cache finds nothing but the shared prefix.
"""

import hashlib
import math
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from statistics import NormalDist

import numpy as np

from workers.contract.data import (
    MAX_LENGTH,
    Fixed,
    Histogram,
    Length,
    LogNormal,
    Normal,
    SyntheticData,
    Uniform,
)
from workers.engine.words import WORDS

TAPE_WORDS = 65_536
"""Words drawn at the start; a prompt's rest is a slice of them, so a row costs two joins."""

_MASK = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15
_INPUT, _OUTPUT, _PREFIX, _PLACE = 1, 2, 3, 4
_STANDARD = NormalDist()

Draw = Callable[[float], int]
"""A uniform number in (0, 1) to a length."""


class Synthetic:
    """Rows `{"prompt": text, "max_tokens": n}`; `row(index)` costs a few microseconds and keeps no state."""

    def __init__(self, spec: SyntheticData, *, seed: int, stream: str = "") -> None:
        digest = hashlib.sha256(f"{seed}/{stream}".encode()).digest()
        self._key = int.from_bytes(digest[:8], "big")
        self._input = _draw(spec.input_tokens, least=1)
        self._output = _draw(spec.output_tokens, least=1)
        self._prefix = _draw(spec.shared_prefix, least=0)
        generator = np.random.Generator(np.random.PCG64(self._key))
        self._tape = [WORDS[pick] for pick in generator.integers(0, len(WORDS), 2 * TAPE_WORDS).tolist()]

    def row(self, index: int) -> dict[str, object]:
        """The request of arrival `index`."""
        length = self._input(self._uniform(index, _INPUT))
        shared = min(self._prefix(self._uniform(index, _PREFIX)), length)
        words = self._cut(TAPE_WORDS, shared) + self._own(index, length - shared)
        output = self._output(self._uniform(index, _OUTPUT))
        return {"prompt": " ".join(words), "max_tokens": output}

    def _own(self, index: int, count: int) -> list[str]:
        """`count` words of this index alone: four that spell it, then a slice of the tape."""
        if count <= 0:
            return []
        code = _mix32((index ^ self._key) & 0xFFFFFFFF)
        spelt = [WORDS[code >> shift & 0xFF] for shift in (0, 8, 16, 24)][:count]
        return spelt + self._cut(_split_mix(self._key, index, _PLACE) % TAPE_WORDS, count - len(spelt))

    def _cut(self, start: int, count: int) -> list[str]:
        words = self._tape[start : start + count]
        while len(words) < count:
            words += self._tape[: count - len(words)]
        return words

    def _uniform(self, index: int, purpose: int) -> float:
        """A number in (0, 1), never either end: the quantile functions have no value there."""
        return ((_split_mix(self._key, index, purpose) >> 12) + 0.5) * 2.0**-52


def _split_mix(key: int, index: int, purpose: int) -> int:
    value = (key + (8 * index + purpose) * _GOLDEN) & _MASK
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & _MASK
    return value ^ (value >> 31)


def _mix32(value: int) -> int:
    """A one-to-one scrambling of 32 bits (MurmurHash3's finaliser)."""
    value = (value ^ (value >> 16)) * 0x85EBCA6B & 0xFFFFFFFF
    value = (value ^ (value >> 13)) * 0xC2B2AE35 & 0xFFFFFFFF
    return value ^ (value >> 16)


def _draw(length: Length, *, least: int) -> Draw:
    """The quantile function of a length, cut to `least` and MAX_LENGTH."""
    match length:
        case Fixed(value):
            fixed = max(least, value)
            return lambda _: fixed
        case Uniform(low, high):
            span = high - low + 1
            return lambda u: max(least, low + int(u * span))
        case Normal(mean, sd):
            return lambda u: _whole(mean + sd * _STANDARD.inv_cdf(u), least)
        case LogNormal(median, sigma):
            return lambda u: _whole(median * math.exp(sigma * _STANDARD.inv_cdf(u)), least)
        case Histogram(lengths, weights):
            steps = list(accumulate(weights))
            last = len(lengths) - 1
            return lambda u: max(least, lengths[min(bisect_right(steps, u * steps[-1]), last)])


def _whole(value: float, least: int) -> int:
    return min(max(round(value), least), MAX_LENGTH)
