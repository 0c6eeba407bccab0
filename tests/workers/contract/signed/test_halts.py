"""The red button: halted exactly while the newest press that can be believed is a halt."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.contract.signed.halts import MOST_DOUBTED, Halts, Press, encode_press, sign_press
from workers.contract.signed.signing import NO_KEYS, SKEW_S, read_keys, sign

NOW_S = 1000.0
KEYS = read_keys("ada=a-secret-of-ada")
EVE = read_keys("eve=a-secret-of-nobody-here")


def press(button="halt", *, at_s=NOW_S, keys=KEYS, by="ada", why="") -> bytes:
    return encode_press(sign_press(Press(by, why, at_s), purpose=button, keys=keys))


@pytest.fixture
def halts():
    return Halts(KEYS)


def read(halts, *, now_s=NOW_S, **found):
    return halts.read({name.encode(): body for name, body in found.items()}, now_s=now_s)


def test_nobody_has_pressed_anything_at_first(halts):
    assert read(halts) == ()
    assert halts.halted() is None


def test_a_signed_halt_holds_until_a_signed_resume_that_is_newer(halts):
    assert read(halts, halt=press(why="the pager rings")) == ()
    assert halts.halted().words() == "halted by ada: the pager rings"
    read(halts, halt=press(), resume=press("resume", at_s=NOW_S - 1))
    assert halts.halted() is not None
    read(halts, halt=press(), resume=press("resume", at_s=NOW_S))
    assert halts.halted() is not None, "who cannot tell which came first stays halted"
    read(halts, halt=press(), resume=press("resume", at_s=NOW_S + 1))
    assert halts.halted() is None
    read(halts, halt=press(at_s=NOW_S + 2), resume=press("resume", at_s=NOW_S + 1))
    assert halts.halted() is not None


def test_a_halt_stays_when_it_is_taken_away_or_overwritten(halts):
    read(halts, halt=press())
    for found in ({}, {"halt": b"nonsense"}, {"halt": press(at_s=NOW_S + 1, keys=EVE)}):
        read(halts, **found)
        assert halts.halted().by == "ada"


def test_an_old_halt_that_is_put_back_after_its_resume_does_nothing(halts):
    old = press()
    read(halts, halt=old, resume=press("resume", at_s=NOW_S + 1))
    read(halts, halt=old)
    assert halts.halted() is None


def test_an_old_resume_that_is_put_back_after_a_newer_halt_does_nothing(halts):
    old = press("resume", at_s=NOW_S + 1)
    read(halts, halt=press(), resume=old)
    read(halts, halt=press(at_s=NOW_S + 2), resume=old)
    assert halts.halted() is not None


ALTERED = msgspec.structs.replace(msgspec.json.decode(press(), type=Press), by="bob")
MOVED = msgspec.structs.replace(msgspec.json.decode(press(), type=Press), at_s=NOW_S + 1)
BACKDATED = Press("ada", "", NOW_S + 4)
BACKDATED = msgspec.structs.replace(
    BACKDATED,
    signature=sign(
        msgspec.json.encode(BACKDATED, order="deterministic"), purpose="halt", keys=KEYS, at_s=NOW_S
    ),
)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (encode_press(Press("ada", "", NOW_S)), "a halt in Redis does not count: the halt is not signed"),
        (press(keys=EVE), "foreign key"),
        (encode_press(ALTERED), "altered"),
        (encode_press(MOVED), "altered"),
        (encode_press(BACKDATED), "another time than its signature"),
        (press("resume"), "the signature of the halt is not one of key ada"),
        (press(at_s=NOW_S + SKEW_S + 1), "ahead of the common clock"),
        (b"1", "a halt in Redis does not count"),
        (b"\xff", "a halt in Redis does not count"),
    ],
)
def test_a_press_that_cannot_be_believed_does_nothing_and_is_said_once(halts, body, words):
    (said,) = read(halts, halt=body)
    assert words in said
    assert halts.halted() is None
    assert read(halts, halt=body) == ()


def test_a_foreign_halt_before_a_resume_that_is_believed_is_not_worth_a_word():
    foreign, resume = press(keys=EVE), press("resume", at_s=NOW_S + 5)
    assert "foreign" in read(Halts(KEYS), halt=foreign)[0]
    assert read(Halts(KEYS), halt=foreign, resume=resume, now_s=NOW_S + 6) == ()
    assert "foreign" in read(Halts(KEYS), halt=press(keys=EVE, at_s=NOW_S + 6), resume=resume)[0]
    assert len(read(Halts(KEYS), halt=foreign, resume=press("resume", at_s=NOW_S + 5, keys=EVE))) == 2


@pytest.mark.parametrize("keys", [KEYS, NO_KEYS])
def test_a_press_of_the_future_counts_when_its_time_has_come(keys):
    halts = Halts(keys)
    body = press(at_s=NOW_S + 60, keys=keys)
    assert "60 s ahead" in read(halts, halt=body)[0]
    assert halts.halted() is None
    read(halts, halt=body, now_s=NOW_S + 60)
    assert halts.halted() is not None


def test_without_keys_anybody_may_halt_and_resume():
    halts = Halts(NO_KEYS)
    assert read(halts, halt=encode_press(Press("eve", "", NOW_S))) == ()
    assert halts.halted().by == "eve"
    read(halts, resume=encode_press(Press("eve", "", NOW_S + 1)))
    assert halts.halted() is None


def test_who_presses_nonsense_again_and_again_is_answered_only_so_often(halts):
    said = [read(halts, halt=str(number).encode()) for number in range(MOST_DOUBTED + 5)]
    assert sum(len(one) for one in said) == MOST_DOUBTED


def test_a_halt_hits_what_began_before_it_even_if_it_is_over_and_all_there_is_while_it_holds(halts):
    read(halts, halt=press())
    assert halts.hits(NOW_S - 1) is not None
    assert halts.hits(NOW_S + 1) is not None
    read(halts, halt=press(), resume=press("resume", at_s=NOW_S + 1))
    assert halts.hits(NOW_S - 1) is not None
    assert halts.hits(NOW_S) is not None
    assert halts.hits(NOW_S + 0.5) is None


@given(
    st.lists(st.tuples(st.sampled_from(["halt", "resume"]), st.integers(1, 50), st.booleans()), max_size=12)
)
def test_whatever_order_presses_are_seen_in_the_newest_believed_decides(presses):
    halts = Halts(KEYS)
    newest = {"halt": 0, "resume": 0}
    for button, at_s, ours in presses:
        read(halts, **{button: press(button, at_s=float(at_s), keys=KEYS if ours else EVE)})
        if ours:
            newest[button] = max(newest[button], at_s)
    assert (halts.halted() is not None) == (newest["halt"] >= max(newest["resume"], 1))
