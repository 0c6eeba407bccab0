"""An attempt hears of every error of its own, wherever that comes up."""

import gevent
import pytest

from workers.engine.control import Control, hear_errors


@pytest.fixture
def control(monkeypatch):
    hub = gevent.get_hub()
    monkeypatch.setattr(hub, "handle_error", hub.handle_error)
    control = Control()
    hear_errors(control.trouble)
    return control


def broken() -> None:
    raise ZeroDivisionError("a mistake")


def ending(control, *, within_s=5.0):
    outcome, why = control.ending.get(timeout=within_s)
    return outcome, why


def test_a_greenlet_that_breaks_ends_the_attempt_with_its_reason(control, capsys):
    gevent.spawn(broken)
    assert ending(control) == ("error", "the engine failed: ZeroDivisionError: a mistake")
    assert "in broken" in capsys.readouterr().err


def test_an_error_in_the_event_loop_itself_does_so_too(control):
    timer = gevent.get_hub().loop.timer(0.001)
    timer.start(broken)
    assert ending(control) == ("error", "the engine failed: ZeroDivisionError: a mistake")
    timer.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_error_of_a_thread_is_for_whoever_waits_for_it(control):
    with pytest.raises(ZeroDivisionError):
        gevent.get_hub().threadpool.apply(broken)
    gevent.spawn(broken).kill()
    gevent.sleep(0.01)
    assert not control.ending.ready()
