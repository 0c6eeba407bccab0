import pytest

from orchestrator.cli.plain import plain


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
    ],
)
def test_what_would_steer_a_terminal_or_cannot_be_stored_is_replaced(text, shown):
    assert plain(text) == shown
    plain(text).encode()
