import io
import json

import pytest
from rich.console import Console

from orchestrator.cli.plain import plain, plain_json
from orchestrator.cli.watching import picture
from orchestrator.live.view import LiveActivity, LiveSlo, LiveView


@pytest.mark.parametrize("text", ["", "quiet", "line\nline\tend", "é 🚢 <b>{{ 7*7 }} [bold]", "日本語"])
def test_what_can_be_shown_stays_as_it_is(text):
    assert plain(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x07", "\ufffd[31mred\ufffd"),
        ("back\r\x08", "back\ufffd\ufffd"),
        ("\x9b2J", "\ufffd2J"),
        ("bad\udcff", "bad\ufffd"),
        ("\u202eevil", "\ufffdevil"),
        ("a\u2066b\u2028c\u200f", "a\ufffdb\ufffdc\ufffd"),
    ],
)
def test_what_would_steer_a_terminal_or_cannot_be_stored_is_replaced(text, shown):
    assert plain(text) == shown
    plain(text).encode()


@pytest.mark.parametrize("said", ["é 🚢", "\x1b[2J\x07\r\n", "\x9b2J", "a\u202eb\u2028c"])
def test_json_says_the_same_and_steers_no_terminal(said):
    text = plain_json(json.dumps({said: [said]}, ensure_ascii=False, indent=2))
    assert json.loads(text) == {said: [said]}
    assert text == "\n".join(map(plain, text.split("\n")))


def test_a_live_picture_that_anybody_may_have_written_steers_no_terminal():
    evil = "\x1b]0;pwned\x07\x1b[2J\u202e"
    slo = LiveSlo(slo=evil, verdict="pass", seen=evil)
    activity = LiveActivity(
        key=evil, kind="load", state=evil, share=0.5, shards=1, sent=1, ok=1, failed=0, rate_per_s=1.0,
        p50_s=None, p99_s=None, note=evil, slos=(slo,),
    )  # fmt: skip
    view = LiveView(
        campaign=evil, at_s=1.0, phase=evil, phase_number=1, phases=2, elapsed_s=1.0, verdicts={evil: evil},
        activities=(activity,), aborting=evil, waits=(evil,),
    )  # fmt: skip
    out = io.StringIO()
    Console(file=out, width=200, markup=False, force_terminal=True, color_system=None).print(picture(view))
    assert "pwned" in out.getvalue()
    assert not {"\x1b", "\x07", "\u202e"} & set(out.getvalue())
