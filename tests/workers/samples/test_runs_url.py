import fsspec
import pytest

from workers.samples.runs_url import StoreError, get, put


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_file_appears_whole_and_nothing_beside_it(tmp_path, scheme):
    url = f"{scheme}{tmp_path}/run/samples/a.parquet"
    put(url, b"first")
    put(url, b"second")
    assert get(url) == b"second"
    assert [file.name for file in (tmp_path / "run" / "samples").iterdir()] == ["a.parquet"]


def test_an_object_store_has_no_folders():
    put("memory://stores/run/a.parquet", b"x")
    assert fsspec.filesystem("memory").cat_file("/stores/run/a.parquet") == b"x"


def test_what_cannot_be_written_is_said_without_a_login(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file/samples/a.parquet: "):
        put(f"{tmp_path}/file/samples/a.parquet", b"x")
    with pytest.raises(StoreError) as unknown:
        put("nowhere://me:secret@host/a", b"x")
    assert "secret" not in str(unknown.value)
    with pytest.raises(StoreError, match="No such file"):
        get(f"{tmp_path}/none")
