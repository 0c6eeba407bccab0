"""Files behind URLs: whole or not at all, on file systems of every kind, and their errors in one form."""

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from orchestrator import urls
from orchestrator.errors import UsageError


class Stubborn(LocalFileSystem):
    """Refuses to rename onto a file, makes no folders by itself, and raises what no OSError is."""

    protocol = "stubborn"
    broken = ""

    def __init__(self, **options):
        super().__init__(auto_mkdir=False, **options)

    def mv(self, path1, path2, **options):
        if self.exists(path2):
            raise OSError("there is such a file already")
        super().mv(path1, path2, **options)

    def pipe_file(self, path, value, mode="overwrite", **options):
        if type(self).broken:
            super().pipe_file(path, value[:1], mode, **options)
            raise RuntimeError(type(self).broken)
        super().pipe_file(path, value, mode, **options)

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(str(path).removeprefix("stubborn://"))


@pytest.fixture
def stubborn(monkeypatch):
    fsspec.register_implementation("stubborn", Stubborn, clobber=True)
    monkeypatch.setattr(Stubborn, "broken", "")
    return Stubborn


@pytest.fixture(params=["plain", "file", "memory", "stubborn"])
def folder(request, tmp_path, stubborn):
    """The URL of a folder that does not exist yet."""
    if request.param == "plain":
        return str(tmp_path / "new")
    return f"{request.param}://{tmp_path}/new"


def test_what_was_put_is_read_back_and_replaced_and_removed(folder):
    url = f"{folder}/deep/down/a.txt"
    assert not urls.exists(url)
    urls.put(url, b"one")
    urls.put(url, b"two")
    assert (urls.get(url), urls.exists(url), b"".join(urls.chunks(url))) == (b"two", True, b"two")
    urls.remove_folder(f"{folder}/deep")
    urls.remove_folder(f"{folder}/deep")
    assert not urls.exists(url)
    with pytest.raises(FileNotFoundError):
        urls.get(url)


def test_nothing_else_is_left_beside_a_file(tmp_path, stubborn):
    for scheme in ("", "file://", "stubborn://"):
        urls.put(f"{scheme}{tmp_path}/a.txt", b"one")
        urls.put(f"{scheme}{tmp_path}/a.txt", b"two")
        assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]


def test_a_write_that_breaks_leaves_the_old_file_and_is_an_oserror(tmp_path, stubborn, monkeypatch):
    url = f"stubborn://{tmp_path}/a.txt"
    urls.put(url, b"one")
    monkeypatch.setattr(stubborn, "broken", "the endpoint is gone")
    with pytest.raises(OSError, match="RuntimeError: the endpoint is gone"):
        urls.put(url, b"two")
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("a.txt", b"one")]


def test_an_object_store_is_written_in_one_go_and_never_renames(monkeypatch):
    def refused(*_args, **_options):
        raise AssertionError("an object store has no rename, and its folders need not be made")

    for name in ("mv", "makedirs", "mkdir"):
        monkeypatch.setattr(fsspec.get_filesystem_class("memory"), name, refused)
    urls.put("memory://bucket/runs/a/report.json", b"{}")
    assert urls.get("memory://bucket/runs/a/report.json") == b"{}"


def test_what_another_process_wrote_is_seen_at_once_where_listings_are_kept(monkeypatch):
    system = fsspec.filesystem("memory")
    asked = []
    monkeypatch.setattr(type(system), "invalidate_cache", lambda *_: asked.append(1))
    urls.exists("memory://bucket/marker")
    assert asked


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s4://bucket/runs", "no such kind of URL; say one of file://"),
        ("gs://bucket/runs", "pip install gcsfs"),
    ],
)
def test_a_url_that_cannot_work_here_says_what_to_do(url, words):
    with pytest.raises(UsageError, match=words):
        urls.put(f"{url}/a", b"")


def test_messages_show_no_login_and_no_signed_query():
    with pytest.raises(UsageError) as told:
        urls.get("s4://user:secret@bucket/a?signature=secret")
    assert "secret" not in str(told.value)
    assert "bucket/a" in str(told.value)
