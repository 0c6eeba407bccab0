"""Commands on an errand: run when told to, one after another, and ended whole."""

from pathlib import Path

import pytest

from workers.chaos import errand
from workers.chaos.contract import Scene
from workers.chaos.errand import Step
from workers.chaos.processes import boot_s, is_alive, look_at_all
from workers.contract.errors import FaultError


@pytest.fixture
def scene(tmp_path):
    return Scene("k", str(tmp_path), boot_s() + 60.0)


def _sh(script, told=""):
    return Step(("sh", "-c", script), told)


@pytest.fixture
def go(scene):
    """Send commands and tell the process to go; return the scene with it in it."""
    begun = []

    def start(*steps, **around):
        begun.append(errand.start(scene, **around))
        errand.send(scene, steps)
        begun[-1].go()
        return Scene("k", scene.folder, scene.until_s, own=(begun[-1].who,))

    yield start
    for one in begun:
        errand.end(Scene("k", scene.folder, scene.until_s, own=(one.who,)))
        one.let_go()


def test_commands_run_one_after_another_with_what_they_are_told(go, scene, until):
    there = Path(scene.folder)
    around = go(_sh(f"cat > {there}/one", "told"), _sh(f"cp {there}/one {there}/two"))
    until(lambda: (there / "two").exists() and not is_alive(around.own[0]))
    assert (there / "two").read_text() == "told"
    assert errand.failed(around) == ""


def test_the_first_that_fails_is_the_last_and_is_said_without_secrets(go, scene, until):
    there = Path(scene.folder)
    around = go(
        _sh("echo no $KEY; exit 4"), _sh(f"touch {there}/never"),
        environment={"PATH": "/usr/bin:/bin", "KEY": "s3cret"}, secrets=("s3cret",),
    )  # fmt: skip
    until(lambda: errand.failed(around))
    assert errand.failed(around) == "sh ended with 4: no ***"
    until(lambda: not is_alive(around.own[0]))
    assert not (there / "never").exists()


def test_what_takes_a_moment_is_waited_for_and_its_failure_raised(scene):
    there = Path(scene.folder)
    one = errand.start(scene)
    errand.do(one, scene, [_sh(f"touch {there}/one"), _sh(f"touch {there}/two")], within_s=20.0)
    assert (there / "two").exists()
    one.let_go()


def test_what_fails_or_takes_too_long_is_raised(scene):
    one = errand.start(scene)
    with pytest.raises(FaultError, match="sh ended with 7: no way"):
        errand.do(one, scene, [_sh("echo no way; exit 7"), _sh("true")], within_s=20.0)
    one.let_go()
    (Path(scene.folder) / "ended.json").unlink()
    two = errand.start(scene)
    with pytest.raises(FaultError, match=r"sh has not ended within 0\.2 s"):
        errand.do(two, scene, [_sh("sleep 30")], within_s=0.2)
    errand.end(Scene("k", scene.folder, scene.until_s, own=(two.who,)))
    two.let_go()


def test_a_program_that_is_not_there_is_said(go, until):
    around = go(Step(("no-such-program",)))
    until(lambda: errand.failed(around))
    assert "no-such-program cannot be run" in errand.failed(around)


def test_what_has_been_ended_does_not_come_to_pass_any_more(go, scene, until):
    there = Path(scene.folder)
    around = go(_sh(f"touch {there}/begun; (sleep 30; touch {there}/late) & sleep 30; touch {there}/late"))
    until((there / "begun").exists)
    errand.end(around)
    leader = around.own[0].pid
    assert not [one for one in look_at_all().values() if one.session == leader and one.state not in "ZX"]
    assert not (there / "late").exists()
