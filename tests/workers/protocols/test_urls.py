import pytest

from workers.protocols.urls import join_path


@pytest.mark.parametrize(
    ("url", "tail", "path"),
    [
        ("http://h:8000", "/v1/chat/completions", "/v1/chat/completions"),
        ("http://h:8000/", "/v1/models", "/v1/models"),
        ("http://h/v1", "/v1/models", "/v1/models"),
        ("http://h/v1/", "/v1/models", "/v1/models"),
        ("http://h/api/v1", "/v1/models", "/api/v1/models"),
        ("http://h/api", "/v1/models", "/api/v1/models"),
        ("http://h/v1", "/health", "/v1/health"),
        ("http://h/notv1", "/v1/models", "/notv1/v1/models"),
        ("http://h/a?key=1", "/b", "/a/b?key=1"),
        ("http://h?key=1", "/b?c=2", "/b?c=2&key=1"),
        ("", "/v1/models", "/v1/models"),
        ("http://h", "/", "/"),
    ],
)
def test_a_url_that_ends_in_v1_gets_no_second_one(url, tail, path):
    assert join_path(url, tail) == path
