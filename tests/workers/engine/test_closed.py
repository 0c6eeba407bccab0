from workers.contract.schedule import ClosedArrivals
from workers.engine import wire
from workers.engine.closed import begin_ns


def test_users_begin_evenly_over_the_ramp():
    users = ClosedArrivals(users=4, think_s=0.0, duration_s=10.0, ramp_s=2.0)
    assert [begin_ns(users, user=user) / 1e9 for user in range(4)] == [0.0, 0.5, 1.0, 1.5]
    at_once = ClosedArrivals(users=4, think_s=0.0, duration_s=10.0)
    assert {begin_ns(at_once, user=user) for user in range(4)} == {0}


def test_the_number_of_users_grows_over_the_ramp_and_none_thinks_beyond_the_end(demo, engine, load):
    target = demo("--service-time", "2ms")
    users = ClosedArrivals(users=8, think_s=100.0, duration_s=4.0, ramp_s=2.0)
    child = engine(load(target.url, arrivals=users))
    child.listen(wire.Prepared)
    child.authorise(60)
    start_ns = child.begin()
    child.finished()
    firsts = [float(str(line["received_ns"])) for line in target.lines("received")]
    assert len(firsts) == 8
    for number in range(8):
        assert sum(moment < start_ns + number * 0.25e9 for moment in firsts) <= number


def test_a_user_that_resumes_begins_at_once(demo, engine, load):
    target = demo("--service-time", "2ms")
    users = ClosedArrivals(users=4, think_s=0.2, duration_s=3.0, ramp_s=1.0)
    child = engine(load(target.url, arrivals=users), number=2)
    child.listen(wire.Prepared)
    child.authorise(60)
    child.begin(in_s=-0.9, from_s=1.0)
    child.finished()
    cells = [cell for snapshot in child.snapshots for cell in snapshot.cells]
    assert min(cell.second for cell in cells) >= 1
    assert child.outcomes()["ok"] >= 4


def test_a_load_halted_within_its_ramp_ends_at_once(demo, engine, load):
    target = demo("--service-time", "2ms")
    users = ClosedArrivals(users=4, think_s=0.1, duration_s=60.0, ramp_s=60.0)
    child = engine(load(target.url, arrivals=users))
    child.listen(wire.Prepared)
    child.authorise(60)
    child.begin()
    child.listen(wire.Taken)
    child.say(wire.Halt("enough"))
    assert child.finished(within_s=6.0).outcome == "stopped"
