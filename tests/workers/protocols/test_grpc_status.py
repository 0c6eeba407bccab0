import pytest

from workers.protocols.grpc_status import CODES, code_of, words_of


def test_every_code_has_a_name_and_the_http_status_that_google_gives_it():
    assert list(CODES) == list(range(17))
    assert {name: http for name, http in CODES.values() if http in {400, 404, 429, 503, 504}} == {
        "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "OUT_OF_RANGE": 400, "NOT_FOUND": 404,
        "RESOURCE_EXHAUSTED": 429, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504,
    }  # fmt: skip


@pytest.mark.parametrize(("text", "code"), [("0", 0), ("16", 16), ("17", 2), ("", 2), ("-1", 2), ("²", 2)])
def test_what_is_no_known_code_is_unknown(text, code):
    assert code_of(text) == code


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ([], ""),
        ([("grpc-status", "5"), ("grpc-message", "no %E2%9C%93 %zz")], "NOT_FOUND: no ✓ %zz"),
        ([("grpc-status", "13")], "INTERNAL"),
        ([("grpc-status", "3"), ("grpc-message", "%ff")], "INVALID_ARGUMENT: \ufffd"),
    ],
)
def test_a_status_is_worded_with_its_name(headers, words):
    assert words_of(headers) == words
