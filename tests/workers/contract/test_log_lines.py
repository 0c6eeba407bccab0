import logging

import pytest

from workers.contract.log_lines import MOST_CHARACTERS, one_line


def logged(words: str, *args: object) -> str:
    record = logging.LogRecord("shakeout", logging.WARNING, __file__, 1, words, args, None)
    assert one_line(record)
    return logging.Formatter("%(levelname)s %(message)s").format(record)


@pytest.mark.parametrize(
    ("id_", "shown"),
    [
        ("night", "night"),
        ("x\n2026-11-22 INFO leading, epoch 9", r"x\n2026-11-22 INFO leading, epoch 9"),
        ("\x1b[2J\u202e", r"\x1b[2J\u202e"),
        ("bad\udcff", r"bad\udcff"),
        ("é 日本 100%s", "é 日本 100%s"),
    ],
)
def test_what_others_wrote_stays_on_its_line(id_, shown):
    assert logged("campaign %s is refused", id_) == f"WARNING campaign {shown} is refused"


def test_a_message_is_no_longer_than_is_read():
    assert len(logged("%s", "x" * 10 * MOST_CHARACTERS)) < 2 * MOST_CHARACTERS


def test_a_record_whose_words_do_not_fit_is_left_to_logging():
    assert one_line(logging.LogRecord("shakeout", logging.WARNING, __file__, 1, "%d", ("x",), None))
