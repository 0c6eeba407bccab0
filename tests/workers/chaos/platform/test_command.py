"""Commands of an operator's as a fault: what they did is seen in a folder, whoever is killed when."""

import os
import signal

import pytest

from workers.chaos.ledger import reconcile
from workers.chaos.processes import look_at_all
from workers.chaos.run import plan
from workers.contract.errors import FaultError

PROMISE_S = 5.0
SECRET = "tell-nobody-4711"


def _commands(listed):
    """Processes that run one of the listed commands, or were begun by one."""
    mine = str(listed.folder)
    return [
        process
        for process in look_at_all().values()
        if process.state not in "ZX" and process.argv[:1] == ("/bin/sh",) and mine in " ".join(process.argv)
    ]


def test_commands_break_tell_and_mend(listed, order, agent):
    listed.write("mend", 'mv "$WORLD/broken" "$WORLD/was-broken"')
    one = agent(order(for_s=1.0))
    injected = one.until_event("injected")
    assert injected.touched == (f"whatever {listed.folder}/break does",)
    assert one.until_event("verified").took_effect
    (reverted,) = one.rest()
    assert (reverted.what, reverted.took_effect, reverted.why) == ("reverted", True, "")
    assert listed.has("was-broken")
    assert not listed.has("broken")
    assert one.open_entries() == one.guardians() == []


def test_it_is_mended_when_the_agent_is_killed_in_the_middle(listed, order, agent, until):
    one = agent(order())
    assert one.until_event("verified").took_effect
    one.process.kill()
    until(lambda: not listed.has("broken"), PROMISE_S)
    until(lambda: not one.open_entries() and not one.guardians(), PROMISE_S)
    one.process.wait(PROMISE_S)
    assert [found.by for found in reconcile(one.ledger)] == ["guardian"]


def test_it_is_mended_by_the_next_life_when_guardian_and_agent_are_killed(listed, order, agent, until):
    one = agent(order())
    one.until_event("verified")
    one.process.send_signal(signal.SIGSTOP)
    os.kill(one.guardians()[0], signal.SIGKILL)
    one.process.kill()
    one.process.wait(PROMISE_S)
    assert listed.has("broken")
    assert [found.by for found in reconcile(one.ledger)] == ["next worker"]
    assert not listed.has("broken")


def test_an_inject_command_in_the_middle_never_comes_to_its_end_after_the_revert(listed, order, agent, until):
    listed.write("break", 'touch "$WORLD/begun"', "sleep 60", 'touch "$WORLD/broken"')
    one = agent(order())
    until(lambda: listed.has("begun"))
    one.process.kill()
    until(lambda: not one.open_entries() and not one.guardians(), PROMISE_S)
    assert _commands(listed) == []
    assert not listed.has("broken")
    one.process.wait(PROMISE_S)


def test_a_verify_command_in_the_middle_is_ended_with_its_agent(listed, order, agent, until):
    listed.write("is-broken", 'test -e "$WORLD/broken" || exit 1', 'echo $$ >> "$WORLD/asked"', "sleep 60")
    one = agent(order(within="60s"))
    until(lambda: listed.has("asked") and _commands(listed))
    asked = {process.pid for process in _commands(listed)}
    listed.write("is-broken", 'test -e "$WORLD/broken"')  # for whoever asks next
    one.process.kill()
    until(lambda: not asked & {process.pid for process in _commands(listed)}, PROMISE_S)
    until(lambda: not one.open_entries() and not one.guardians(), PROMISE_S)
    assert not listed.has("broken")
    one.process.wait(PROMISE_S)


def test_a_command_that_goes_on_is_ended_with_the_fault(listed, order, agent, until):
    listed.write("break", 'touch "$WORLD/broken"', "while true; do sleep 0.1; done")
    one = agent(order())
    one.until_event("verified")
    until(lambda: len(_commands(listed)) == 1)  # beside it the verify command comes and goes
    one.stop.write_text("enough")
    assert one.rest()[-1].took_effect
    assert _commands(listed) == []


def test_a_revert_that_fails_is_told_tried_again_and_told_when_it_works(listed, order, agent, until):
    listed.write(
        "mend", 'echo try >> "$WORLD/tries"', 'test -e "$WORLD/allowed" || { echo "no key"; exit 3; }',
        'rm -f "$WORLD/broken"',
    )  # fmt: skip
    one = agent(order(for_s=0.5))
    residue = one.until_event("residue")
    assert residue.took_effect
    assert "revert ended with 3: no key" in residue.why
    assert listed.has("broken")
    tries = len((listed.world / "tries").read_text().split())
    until(lambda: len((listed.world / "tries").read_text().split()) >= tries + 2)
    (listed.world / "allowed").touch()
    until(lambda: not listed.has("broken"), 3 * PROMISE_S)
    (reverted,) = one.rest()
    assert reverted.what == "reverted"
    assert "reverted by the guardian" in reverted.why
    assert reconcile(one.ledger) == []


def test_a_revert_that_fails_is_tried_again_by_the_agent_where_the_guardian_is_gone(
    listed, order, agent, until
):
    listed.write("mend", 'test -e "$WORLD/allowed" || { echo "no key"; exit 3; }', 'rm -f "$WORLD/broken"')
    one = agent(order())
    one.until_event("verified")
    os.kill(one.guardians()[0], signal.SIGKILL)
    assert "no key" in one.until_event("residue").why
    (listed.world / "allowed").touch()
    (reverted,) = one.rest()
    assert reverted.what == "reverted"
    assert "undone at last" in reverted.why
    assert not listed.has("broken")
    assert one.open_entries() == []


def test_a_revert_that_fails_for_good_is_tried_again_by_each_next_life(listed, order, agent, until):
    listed.write("mend", 'test -e "$WORLD/allowed" || { echo "no key"; exit 3; }', 'rm -f "$WORLD/broken"')
    one = agent(order(for_s=0.5))
    one.until_event("residue")
    for pid in one.guardians():
        os.kill(pid, signal.SIGKILL)
    one.process.kill()
    one.process.wait(PROMISE_S)
    (stuck,) = reconcile(one.ledger)
    assert stuck.reverted_s is None
    assert "revert ended with 3: no key" in stuck.why
    assert len(one.open_entries()) == 1
    (listed.world / "allowed").touch()
    (found,) = reconcile(one.ledger)
    assert found.by == "next worker"
    assert not listed.has("broken")
    assert one.open_entries() == []


def test_a_revert_that_does_not_help_is_residue_though_it_says_that_all_is_well(listed, order, agent):
    listed.write("mend", "true")
    one = agent(order(for_s=0.5))
    residue = one.until_event("residue")
    assert "still in effect: verify ended with 0" in residue.why
    listed.write("mend", 'rm -f "$WORLD/broken"')
    assert one.rest()[-1].what == "reverted"


@pytest.mark.parametrize(
    ("name", "lines", "words"),
    [
        ("break", ["echo no such device; exit 4"], "inject: break ended with 4: no such device"),
        ("break", ["true"], "not in effect: verify ended with 1"),
        ("break", ["kill -9 $$"], "inject: break was ended by SIGKILL"),
    ],
)
def test_an_inject_that_fails_or_does_nothing_took_no_effect(listed, order, agent, name, lines, words):
    listed.write(name, *lines)
    events = agent(order(for_s=2.0)).rest()
    verified = next(event for event in events if event.what == "verified")
    assert verified.took_effect is False
    assert words in verified.why
    assert events[-1].what == "reverted"
    assert listed.has("mended"), "reverted all the same"


def test_a_command_that_takes_too_long_is_ended_and_said(listed, order, tmp_path):
    listed.write("is-broken", "echo thinking; sleep 60")
    with pytest.raises(FaultError, match="took too long and was ended: thinking"):
        plan(order(within="300ms"), ledger=tmp_path)
    assert _commands(listed) == []


def test_what_is_in_effect_already_is_not_injected_again(listed, order, tmp_path):
    (listed.world / "broken").touch()
    with pytest.raises(FaultError, match="before anything was injected: still in effect"):
        plan(order(), ledger=tmp_path)
    assert listed.has("broken"), "whoever broke it mends it"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"inject": ["no-such"]}, "worker w1 has no command no-such in"),
        ({"revert": ["/bin/true"]}, "worker w1 refuses command /bin/true: say its name inside"),
        ({"verify": ["../world/x"]}, r"refuses command \.\./world/x"),
        ({"inject": []}, "length >= 1"),
        ({"inject": ["break", "${env:TOKEN}"]}, "inject: no secret may stand in a command line"),
        ({"within": "2m"}, "at most 60s"),
        (
            {"env": {"TOKEN": "${env:NOT_SET_ANYWHERE}"}},
            "NOT_SET_ANYWHERE is not set|NOT_SET_ANYWHERE} is not set",
        ),
        ({"env": {"KEY": "${env:SHAKEOUT_SIGNING_KEY}"}}, "a secret of the worker's own"),
    ],
)
def test_what_the_operator_has_not_listed_is_refused_in_words(order, tmp_path, options, words):
    with pytest.raises(FaultError, match=words):
        plan(order(**options), ledger=tmp_path)


def test_a_worker_that_lists_no_folder_runs_no_commands(make_order, tmp_path):
    options = {"inject": ["break"], "verify": ["is-broken"], "revert": ["mend"]}
    with pytest.raises(FaultError, match=r"runs no commands of users: start it with --user-code DIR"):
        plan(make_order(None, fault="command", options=options), ledger=tmp_path)


def test_a_file_that_may_not_be_run_is_said(listed, order, tmp_path):
    (listed.folder / "break").chmod(0o600)
    with pytest.raises(FaultError, match=r"may not be run: chmod \+x it"):
        plan(order(), ledger=tmp_path)


def test_secrets_reach_the_commands_and_the_guardian_and_are_seen_nowhere(listed, order, agent, until):
    listed.write(
        "break", 'printf "%s" "$TOKEN" > "$WORLD/half"', 'mv "$WORLD/half" "$WORLD/broken"',
        'until test -e "$WORLD/looked"; do sleep 0.05; done', 'echo "used $TOKEN"', "exit 5",
    )  # fmt: skip
    listed.write("is-broken", "exit 1")
    listed.write("mend", 'test -n "$TOKEN" && printf "%s" "$TOKEN" > "$WORLD/told" && rm -f "$WORLD/broken"')
    one = agent(order(env={"TOKEN": "${env:API_TOKEN}"}), API_TOKEN=SECRET)
    one.until_event("injected")
    until(lambda: listed.has("broken"))
    assert (listed.world / "broken").read_text() == SECRET
    (entry,) = one.open_entries()
    assert SECRET not in entry.read_text()
    assert not any(SECRET in " ".join(process.argv) for process in look_at_all().values())
    (listed.world / "looked").touch()
    verified = one.until_event("verified")
    assert "inject: break ended with 5: used ***" in verified.why
    until(lambda: not listed.has("broken"), 2 * PROMISE_S)
    assert SECRET not in "".join(event.why for event in one.rest())


def test_a_guardian_has_the_secrets_that_its_fault_refers_to_and_no_others(listed, order, agent, until):
    listed.write(
        "mend", 'printf "%s" "$TOKEN" > "$WORLD/told"', 'env > "$WORLD/seen"', 'rm -f "$WORLD/broken"'
    )
    one = agent(order(env={"TOKEN": "${env:API_TOKEN}"}), API_TOKEN=SECRET, ANOTHER="do-not-pass-on")
    one.until_event("verified")
    one.process.kill()
    until(lambda: not listed.has("broken"), PROMISE_S)
    assert (listed.world / "told").read_text() == SECRET
    assert "do-not-pass-on" not in (listed.world / "seen").read_text()
    until(lambda: not one.guardians(), PROMISE_S)
    one.process.wait(PROMISE_S)


def test_the_next_life_finds_the_secrets_in_its_own_environment(listed, order, agent, until, monkeypatch):
    listed.write("mend", 'test "$TOKEN" = "' + SECRET + '" || exit 6', 'rm -f "$WORLD/broken"')
    one = agent(order(env={"TOKEN": "${env:API_TOKEN}"}), API_TOKEN=SECRET)
    one.until_event("verified")
    one.process.send_signal(signal.SIGSTOP)
    os.kill(one.guardians()[0], signal.SIGKILL)
    one.process.kill()
    one.process.wait(PROMISE_S)
    (stuck,) = reconcile(one.ledger)
    assert "${env:API_TOKEN} is not set on this worker" in stuck.why
    monkeypatch.setenv("API_TOKEN", SECRET)
    assert [found.by for found in reconcile(one.ledger)] == ["next worker"]
    assert not listed.has("broken")
