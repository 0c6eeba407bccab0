"""Values as they should not be, of the same shape as those that are right: numbers, words, truth."""

import random
import string
from typing import Any

_FARTHEST = 10.0


def wrong(value: Any, dice: random.Random) -> Any:
    """A value of JSON, changed throughout; names of fields, lengths and types stay."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return _other_number(value, dice)
    if isinstance(value, float):
        return value * dice.uniform(-_FARTHEST, _FARTHEST) + dice.uniform(0.5, 1.5)
    if isinstance(value, str):
        return wrong_text(value, dice)
    if isinstance(value, list):
        return [wrong(one, dice) for one in value]
    if isinstance(value, dict):
        return {key: wrong(one, dice) for key, one in value.items()}
    return value


def wrong_text(text: str, dice: random.Random) -> str:
    """Other words of the same length; of a number another number."""
    try:
        number = int(text)
    except ValueError:
        pass
    else:
        return str(_other_number(number, dice))
    try:
        return f"{float(text) * dice.uniform(-_FARTHEST, _FARTHEST) + dice.uniform(0.5, 1.5):.6g}"
    except ValueError:
        return "".join(_other_letter(letter, dice) for letter in text)


def _other_number(value: int, dice: random.Random) -> int:
    return value + dice.choice((-1, 1)) * dice.randint(1, max(10, abs(value)))


def _other_letter(letter: str, dice: random.Random) -> str:
    if not letter.isalnum():
        return letter
    other = dice.choice(string.ascii_lowercase)
    return other if other != letter else "q" if letter != "q" else "z"
