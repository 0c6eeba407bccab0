import hashlib

import pytest

from workers.contract.spec import FileRef
from workers.settings import parse
from workers.user_code import UserCodeRefusedError, find_code

CODE = b"from locust import User\n"
BROKER = {"SHAKEOUT_BROKER": "redis://127.0.0.1:1/0"}


def ref(name="mine.py", content=CODE):
    return FileRef(hashlib.sha256(content).hexdigest(), len(content), name)


@pytest.fixture
def settings():
    """Settings of a worker that lists these folders."""

    def make(*folders):
        flags = [word for folder in folders for word in ("--user-code", str(folder))]
        return parse(["--name", "w1", *flags], BROKER)

    return make


def test_the_submitted_content_is_found_in_any_listed_folder(settings, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other" / "deep"
    one.mkdir()
    other.mkdir(parents=True)
    (other / "mine.py").write_bytes(CODE)
    assert find_code(ref(), settings(one, other)) == str(other / "mine.py")
    assert find_code(ref("deep/mine.py"), settings(one, tmp_path / "other")) == str(other / "mine.py")


def test_folders_come_from_the_environment_too(tmp_path):
    (tmp_path / "mine.py").write_bytes(CODE)
    told = parse(["--name", "w1"], {**BROKER, "SHAKEOUT_USER_CODE": f"/nowhere:{tmp_path}"})
    assert find_code(ref(), told) == str(tmp_path / "mine.py")


def test_a_worker_that_lists_nothing_says_what_to_start_it_with(settings):
    with pytest.raises(UserCodeRefusedError, match=r"worker w1 runs no code of users: .*--user-code DIR"):
        find_code(ref(), settings())


def test_another_content_under_the_name_is_refused(settings, tmp_path):
    (tmp_path / "mine.py").write_bytes(b"import os\n")
    with pytest.raises(UserCodeRefusedError, match=r"another mine\.py than was submitted"):
        find_code(ref(), settings(tmp_path))


def test_a_missing_file_is_named_with_the_folders(settings, tmp_path):
    with pytest.raises(UserCodeRefusedError, match=f"has no mine.py in {tmp_path}"):
        find_code(ref(), settings(tmp_path))


@pytest.mark.parametrize("name", ["../mine.py", "/etc/mine.py", "a/../../mine.py"])
def test_no_name_leads_out_of_the_listed_folders(settings, tmp_path, name):
    (tmp_path / "mine.py").write_bytes(CODE)
    (tmp_path / "in").mkdir()
    with pytest.raises(UserCodeRefusedError, match="must lie inside"):
        find_code(ref(name), settings(tmp_path / "in"))


def test_a_link_that_leads_out_is_not_followed(settings, tmp_path):
    (tmp_path / "mine.py").write_bytes(CODE)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "mine.py").symlink_to(tmp_path / "mine.py")
    with pytest.raises(UserCodeRefusedError, match=r"has no mine\.py"):
        find_code(ref(), settings(tmp_path / "in"))
