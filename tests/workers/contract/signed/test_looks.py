"""Questions what faults would touch: believed only from whom this fleet knows, and while somebody waits."""

import msgspec
import pytest

from workers.contract.fault_steps import FaultStep
from workers.contract.signed.looks import (
    GOOD_FOR_S,
    Look,
    LookAt,
    check_look,
    decode_look,
    encode_look,
    sign_look,
)
from workers.contract.signed.signing import SKEW_S, SignatureError, read_keys

ADA, EVE = (read_keys(f"{name}={name * 12}") for name in ("ada", "eve"))
AT_S = 1000.0
ASKED = LookAt("hang", ("w1",), (FaultStep("noop", {}, None, 5.0, 2.0),), ("db",))
LOOK = Look(id="q", by="ada", at_s=AT_S, activities=(ASKED,))


def test_a_question_that_ada_signed_counts_while_it_is_fresh():
    look = decode_look(encode_look(sign_look(LOOK, keys=ADA)))
    assert look.activities == (ASKED,)
    check_look(look, keys=ADA, now_s=AT_S + GOOD_FOR_S / 2)
    for late_s in (GOOD_FOR_S + 1, -SKEW_S - 1):
        with pytest.raises(SignatureError):
            check_look(look, keys=ADA, now_s=AT_S + late_s)


@pytest.mark.parametrize(
    "look",
    [
        LOOK,
        sign_look(LOOK, keys=EVE),
        msgspec.structs.replace(sign_look(LOOK, keys=ADA), id="another"),
        msgspec.structs.replace(sign_look(LOOK, keys=ADA), activities=()),
    ],
    ids=["nobody's", "a stranger's", "another's answers", "another question"],
)
def test_any_other_does_not(look):
    with pytest.raises(SignatureError):
        check_look(look, keys=ADA, now_s=AT_S)


def test_a_fleet_without_keys_answers_anybody_who_is_not_late():
    nobody = read_keys("")
    check_look(sign_look(LOOK, keys=nobody), keys=nobody, now_s=AT_S)
    with pytest.raises(SignatureError, match="old"):
        check_look(LOOK, keys=nobody, now_s=AT_S + GOOD_FOR_S + 1)
