"""Made-up prompts: a pure function of (seed, index), so every shard and every attempt makes the same row.

Randomness is SplitMix64 over the index (Steele, Lea & Flood, OOPSLA 2014): no state, no numpy call a row.
The words come from a tape that is drawn once; the first four after the shared prefix spell the index, so the
first 2^32 prompts differ early and a target's prefix cache finds nothing but the shared prefix.
"""

import hashlib
import math
from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache
from itertools import accumulate
from statistics import NormalDist

from workers.contract.data import (
    Fixed,
    Histogram,
    Length,
    LogNormal,
    Normal,
    SyntheticData,
    Uniform,
)
from workers.contract.errors import DataError
from workers.contract.files.trace_formats import BLOCK_TOKENS, MAX_LENGTH, Lengths
from workers.engine.tape import TAPE_WORDS, Counter, Tape

MOST_BLOCKS = 8192
"""Texts of recorded blocks that are kept, some 3 KB each: they come again and again."""

_MASK = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15
_INPUT, _OUTPUT, _PREFIX, _PLACE, _BLOCK = 1, 2, 3, 4, 5
_STANDARD = NormalDist()

Draw = Callable[[float], int]
"""A uniform number in (0, 1) to a length."""


class Prompts:
    """Texts of given lengths: in words, or in the tokens of a `counter`. They cost some microseconds each."""

    def __init__(self, *, seed: int, stream: str = "", counter: Counter | None = None) -> None:
        digest = hashlib.sha256(f"{seed}/{stream}".encode()).digest()
        self.key = int.from_bytes(digest[:8], "big")
        self._tape = Tape(self.key, counter=counter)
        self._block = lru_cache(MOST_BLOCKS)(self._block_of)

    def text(self, index: int, length: int, *, shared: int = 0) -> str:
        """The prompt of arrival `index`; its first `shared` are those of every prompt."""
        shared = min(shared, length)
        prefix = self._tape.cut(TAPE_WORDS, shared)
        own = self._own(index, _PLACE, length - shared)
        whole = prefix + own
        more = self._tape.more_at_start(whole)
        if more:
            whole = prefix + self._own(index, _PLACE, length - shared - more)
        return whole.lstrip()

    def recorded(self, lengths: Lengths, index: int) -> dict[str, object]:
        """The request of a recorded one: as long, and with text in common where it had blocks in common."""
        length = max(1, lengths.input)
        output = max(1, lengths.output)
        if not lengths.ids:
            return {"prompt": self.text(index, length), "max_tokens": output}
        parts: list[str] = []
        left = length
        for id_ in lengths.ids:
            parts.append(self._block(id_, min(left, BLOCK_TOKENS)))
            left -= BLOCK_TOKENS
            if left <= 0:
                break
        if left > 0:
            parts.append(self._own(index, _PLACE, left))
        return {"prompt": "".join(parts).lstrip(), "max_tokens": output}

    def _block_of(self, id_: int, length: int) -> str:
        return self._own(id_, _BLOCK, length)

    def _own(self, index: int, purpose: int, length: int) -> str:
        """Text of this index alone: four words that spell it, then a stretch of the tape."""
        if length <= 0:
            return ""
        code = _mix32((index ^ self.key) & 0xFFFFFFFF)
        spelt, left = self._tape.spelt(code, length)
        return spelt + self._tape.cut(_split_mix(self.key, index, purpose) % TAPE_WORDS, left)


class Synthetic:
    """Rows `{"prompt": text, "max_tokens": n}`; `row(index)` costs a few microseconds and keeps no state."""

    def __init__(
        self, spec: SyntheticData, *, seed: int, stream: str = "", counter: Counter | None = None
    ) -> None:
        self._prompts = Prompts(seed=seed, stream=stream, counter=counter)
        self._input = _draw(spec.input_tokens, least=1)
        self._output = _draw(spec.output_tokens, least=1)
        self._prefix = _draw(spec.shared_prefix, least=0)

    def row(self, index: int) -> dict[str, object]:
        """The request of arrival `index`."""
        length = self._input(self._uniform(index, _INPUT))
        shared = self._prefix(self._uniform(index, _PREFIX))
        output = self._output(self._uniform(index, _OUTPUT))
        return {"prompt": self._prompts.text(index, length, shared=shared), "max_tokens": output}

    def _uniform(self, index: int, purpose: int) -> float:
        """A number in (0, 1), never either end: the quantile functions have no value there."""
        return ((_split_mix(self._prompts.key, index, purpose) >> 12) + 0.5) * 2.0**-52


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
        case _:
            raise DataError(f"the histogram {length.name} was not read")


def _whole(value: float, least: int) -> int:
    return min(max(round(value), least), MAX_LENGTH)
