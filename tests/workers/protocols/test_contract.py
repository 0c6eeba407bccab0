import pytest

from workers.protocols.contract import Answer, Request, settled


def request(**more) -> Request:
    return Request("POST", "/", b"", (), stream=True, **more)


def answer(**more) -> Answer:
    return Answer(fields={"status": 200}, output_tokens=3, input_tokens=2, ok=True, kind="ok", **more)


@pytest.mark.parametrize(
    ("asked", "came"), [({}, {}), ({}, {"results": 7}), ({"results": 2}, {"results": 2}),
                        ({"results": 2}, {"results": 3}), ({"ends_with_http": True}, {})],
)  # fmt: skip
def test_an_answer_that_holds_what_was_asked_for_stays_as_it_is(asked, came):
    assert settled(answer(**came), request(**asked), truncated=False) == answer(**came)


@pytest.mark.parametrize("came", [None, 0, 1])
def test_fewer_results_than_asked_for_are_invalid(came):
    found = settled(answer(results=came), request(results=2), truncated=False)
    assert (found.ok, found.kind, found.fields) == (False, "invalid", {"status": 200})
    assert "2 results were asked for" in found.why


def test_a_stream_that_only_http_ends_is_incomplete_where_that_end_is_missing():
    found = settled(answer(), request(ends_with_http=True), truncated=True)
    assert (found.ok, found.kind) == (False, "incomplete")
    assert settled(answer(), request(), truncated=True).ok, "its own end mark came, or parsing said otherwise"


def test_a_failure_keeps_its_own_reason():
    broken = Answer({}, None, None, ok=False, kind="http_500", why="x", results=1)
    assert settled(broken, request(results=2, ends_with_http=True), truncated=True) is broken
