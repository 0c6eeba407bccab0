from orchestrator.checkup.fleet import old_runs
from orchestrator.results.retention import Pruned


def test_a_leader_that_does_not_believe_the_clock_is_a_warning_with_what_to_do():
    (found,) = old_runs(Pruned(at_s=1.0, keep_s=1.0, refused="it is 2031 by the clock"))
    assert (found.level, "2031" in found.what, "--sure" in found.do) == ("warning", True, True)
    assert list(old_runs(Pruned(at_s=1.0, keep_s=1.0, removed=("a",)))) == []
    assert list(old_runs(None)) == []
