"""Words in an endless row, from which stretches of an exact length are cut: in words, or in tokens."""

from bisect import bisect_right
from itertools import accumulate
from typing import Final, Protocol

import numpy as np

from workers.contract.errors import DataError
from workers.engine.words import WORDS

TAPE_WORDS: Final = 65_536
"""Words drawn at the start, twice: own words begin in the first half, the shared prefix with the second."""
PROVED: Final = (64, 512)
"""Lengths of the prompts that a tokenizer is tried on."""
OFF_BY_MOST: Final = 0.02
"""Words may be joined differently in a text than alone; a tokenizer that does more than this is refused."""
SIGN: Final = "!"
"""What a stretch is filled up with where no word costs a single token."""


class Counter(Protocol):
    """Whoever can tell how many tokens a text has."""

    def count(self, text: str) -> int:
        """Tokens of the text alone."""


class Tape:
    """The words of one activity; without a `counter` each of them counts as one."""

    def __init__(self, key: int, *, counter: Counter | None) -> None:
        generator = np.random.Generator(np.random.PCG64(key))
        picks = generator.integers(0, len(WORDS), 2 * TAPE_WORDS).tolist()
        self._words = [WORDS[pick] for pick in picks]
        self.costs: tuple[int, ...] | None = None
        if counter is None:
            return
        # a word stands behind a blank, except for a text's first
        self.costs = tuple(counter.count(f"of {word}") - counter.count("of") for word in WORDS)
        if min(self.costs) < 1:
            raise DataError("the tokenizer does not count words apart; leave it out, and lengths are words")
        self._starts = {
            word: counter.count(word) - cost for word, cost in zip(WORDS, self.costs, strict=True)
        }
        self._before = [0, *accumulate(self.costs[pick] for pick in picks)]
        self._filler = next(
            (f" {word}" for word, cost in zip(WORDS, self.costs, strict=True) if cost == 1), SIGN
        )
        self._prove(counter)

    def cut(self, start: int, length: int) -> str:
        """A stretch of that length from a place on, with a blank before each word."""
        if length <= 0:
            return ""
        if self.costs is None:
            words = self._words[start : start + length]
            while len(words) < length:
                words += self._words[: length - len(words)]
            return " " + " ".join(words)
        parts: list[str] = []
        while True:
            end = bisect_right(self._before, self._before[start] + length) - 1
            parts += self._words[start:end]
            length -= self._before[end] - self._before[start]
            if end < len(self._words):
                break
            start = 0
        text = " ".join(parts)
        return (f" {text}" if text else "") + self._filler * length

    def spelt(self, code: int, length: int) -> tuple[str, int]:
        """Four words that a number of 32 bits picks, and how much of the length is left after them."""
        words: list[str] = []
        for shift in (0, 8, 16, 24):
            pick = code >> shift & 0xFF
            cost = 1 if self.costs is None else self.costs[pick]
            if cost > length:
                break
            words.append(WORDS[pick])
            length -= cost
        return "".join(f" {word}" for word in words), length

    def more_at_start(self, text: str) -> int:
        """What a text's first word costs more (or less) for standing first, without its blank."""
        if self.costs is None or not text:
            return 0
        return self._starts.get(text.split(maxsplit=1)[0].rstrip(SIGN), 0)

    def _prove(self, counter: Counter) -> None:
        for length in PROVED:
            text = self.cut(length, length).lstrip()
            found = counter.count(text) - self.more_at_start(text)
            if abs(found - length) > OFF_BY_MOST * length:
                raise DataError(
                    f"the tokenizer makes {found} tokens of words that it counts as {length} one by one; "
                    "leave it out, and lengths are words"
                )
