import os
import resource

import pytest

from workers.engine.room import Room


@pytest.fixture
def kernel(tmp_path):
    """Files as the kernel shows them; `inuse` and `tw` of TCP."""
    ports = tmp_path / "ports"
    ports.write_text("32768\t33767\n")
    sockets = tmp_path / "sockstat"

    def show(inuse, waiting):
        tcp = f"TCP: inuse {inuse} orphan 0 tw {waiting} alloc 12 mem 3"
        sockets.write_text(f"sockets: used 290\n{tcp}\nUDP: inuse 4 mem 2\n")
        return {"sockets": sockets, "ports": ports}

    return show


def test_ports_that_run_out_are_told_once(kernel):
    room = Room(**kernel(400, 499))
    assert room.ports == 1000
    assert room.warnings() == []
    kernel(400, 500)
    (said,) = room.warnings()
    assert said.startswith("900 TCP sockets are in use or were closed within the last minute, of 1,000 local")
    assert room.warnings() == []


def test_descriptors_that_run_out_are_told(kernel):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = Room(**kernel(1, 1))
    assert room.descriptors == (0 if soft == resource.RLIM_INFINITY else soft)
    assert room.warnings() == []
    lowest = os.dup(0)
    os.close(lowest)
    room.descriptors = lowest
    (said,) = room.warnings()
    assert f"of {lowest:,} descriptors in use: raise `ulimit -n`" in said
    assert hard


def test_a_host_that_does_not_tell_gives_no_warning(tmp_path):
    room = Room(sockets=tmp_path / "no", ports=tmp_path / "no")
    assert room.ports == 0
    assert room.warnings() == []
