"""The mark file's room on disk."""

import pytest

from workers.contract.bounds import Bound, Limit
from workers.contract.errors import HostError
from workers.engine.markfile import MarkFile

BOUNDS = tuple(Bound((Limit("latency", "<", number / 10),)) for number in range(1, 9))


def test_all_of_its_room_is_taken_before_the_first_count(tmp_path):
    MarkFile(str(tmp_path / "m"), bounds=BOUNDS, timeout_s=600.0)
    made = (tmp_path / "m").stat()
    assert made.st_size > 1_000_000
    assert made.st_blocks * 512 >= made.st_size


@pytest.mark.root
def test_a_disk_without_room_for_it_is_an_error_that_says_where_and_how_much(mounted):
    place = mounted("size=256k")
    with pytest.raises(HostError, match=r"1,\d{3},\d{3} bytes in .*: No space left on device") as error:
        MarkFile(str(place / "m"), bounds=BOUNDS, timeout_s=600.0)
    assert str(place / "m") in str(error.value)
    MarkFile(str(place / "small"), bounds=(), timeout_s=2.0)


def test_a_folder_that_is_not_there_is_an_error_that_says_so(tmp_path):
    with pytest.raises(HostError, match="No such file or directory"):
        MarkFile(str(tmp_path / "absent" / "m"), bounds=(), timeout_s=2.0)
