import json

import pytest

from workers.contract.errors import ProtocolError
from workers.protocols.json_http import JsonHttp, JsonOptions


def service(*, for_regression: bool = True, **options) -> JsonHttp:
    return JsonHttp(JsonOptions(**options), seed=1, for_regression=for_regression)


def test_without_a_template_the_row_is_the_body():
    request = service(url="http://h/api", path="/score", method="PUT").build({"a": [1, "ü"]})
    assert (request.method, request.path, request.stream) == ("PUT", "/api/score", False)
    assert json.loads(request.body) == {"a": [1, "ü"]}
    assert ("content-type", "application/json") in request.headers


def test_a_service_that_speaks_v2_by_hand_is_asked_on_the_page_of_v2():
    told = JsonHttp.readiness_paths(JsonOptions(url="http://h/team", path="/v2/models/m/infer"))
    assert told == ("/team/v2/health/ready", "/team/health")
    assert JsonHttp.readiness_paths(JsonOptions(url="http://h", path="/score")) == ("/health",)


def test_a_get_has_no_body():
    request = service(method="GET", path="/score").build({"a": 1})
    assert request.body == b""
    assert "content-type" not in dict(request.headers)


def test_a_template_sees_the_rows_keys_the_row_and_the_model():
    template = '{"text": {{ q | tojson }}, "model": "{{ model }}", "keys": {{ row | length }}}'
    body = service(model="m", body=template).build({"q": 'say "hi"'}).body
    assert json.loads(body) == {"text": 'say "hi"', "model": "m", "keys": 1}


@pytest.mark.parametrize(
    "template",
    ["{{ missing }}", "{{ q.__class__.__mro__ }}", "{{ 1 / 0 }}", "{% for i in range(10**9) %}x{% endfor %}"],
)
def test_a_template_that_fails_on_a_row_names_the_template(template):
    with pytest.raises(ProtocolError, match="template"):
        service(body=template).build({"q": "x"})


def test_a_broken_template_is_found_before_the_first_row():
    with pytest.raises(ProtocolError, match="line 1"):
        service(body="{{ q ")


def test_a_json_answer_has_status_json_and_text():
    answer = service().parse(201, (), b'{"score": NaN, "n": 1}')
    assert (answer.ok, answer.kind) == (True, "ok")
    assert answer.fields["json"]["n"] == 1
    assert answer.fields["json"]["score"] != answer.fields["json"]["score"]
    assert answer.fields["text"] == '{"score": NaN, "n": 1}'
    assert answer.fields["status"] == 201


@pytest.mark.parametrize("body", [b"<html></html>", b"plain words", b"\xff", b'{"a":', b"[" * 100_000])
def test_an_answer_that_is_no_json_is_invalid(body):
    answer = service().parse(200, (), body)
    assert (answer.ok, answer.kind) == (False, "invalid")


def test_an_empty_2xx_is_ok_and_has_no_json():
    answer = service().parse(204, (), b"")
    assert answer.ok
    assert "json" not in answer.fields


def test_pieces_are_read_as_one_body_without_timing():
    answer, timing = service().parse_stream(200, (), [(1, b'{"a"'), (2, b": 1}")])
    assert answer.fields["json"] == {"a": 1}
    assert timing.output_times_ns == ()


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ q|attr('__class__') }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ '{0.__class__}'.format(q) }}",
        "{% include '/etc/hostname' %}",
        "{% import 'os' as os %}{{ os }}",
        "{% for i in range(99999) %}{% for j in range(99999) %}xxxxxxxxxx{% endfor %}{% endfor %}",
    ],
)
def test_no_template_reaches_python_a_file_or_more_memory_than_a_body_may_take(template):
    with pytest.raises(ProtocolError, match="template"):
        service(body=template).build({"q": "x"})
