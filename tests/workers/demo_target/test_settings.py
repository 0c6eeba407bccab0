import argparse

import pytest

from workers.demo_target.settings import Settings, duration_s, parse, share


def test_without_flags_the_campaigns_defaults_hold():
    assert parse([]) == Settings()


def test_flags_are_read_with_their_units():
    told = parse(
        [
            "--ttft",
            "40ms",
            "--gap",
            "500us",
            "--tokens",
            "24",
            "--service-time",
            "0s",
            "--error-rate",
            "2.5%",
            "--seed",
            "7",
            "--slots",
            "3",
        ]
    )
    assert told.ttft_s == pytest.approx(0.040)
    assert told.gap_s == pytest.approx(0.0005)
    assert (told.tokens, told.service_time_s, told.seed, told.slots) == (24, 0.0, 7, 3)
    assert told.error_share == pytest.approx(0.025)


@pytest.mark.parametrize("text", ["50", "ms", "-1s", "1 s", "1e3s", ""])
def test_a_duration_without_its_unit_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="50ms"):
        duration_s(text)


@pytest.mark.parametrize("text", ["5", "101%", "-1%", "%"])
def test_a_share_outside_the_percentages_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError):
        share(text)


@pytest.mark.parametrize("flags", [["--port", "70000"], ["--tokens", "0"], ["--gap", "5"], ["--nonsense"]])
def test_a_wrong_flag_is_a_usage_error(flags, capsys):
    with pytest.raises(SystemExit) as ended:
        parse(flags)
    assert ended.value.code == 2
    assert flags[0] in capsys.readouterr().err
