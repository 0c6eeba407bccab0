"""Secrets and the allow-list, on this worker's side."""

import pytest

from workers.contract.errors import TargetRefusedError
from workers.guard import SecretUnsetError, check_target, fill
from workers.settings import parse


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "TOKEN").write_text("from-a-file\n")
    environment = {"SHAKEOUT_BROKER": "redis://x", "TOKEN": "from-env", "SHAKEOUT_SECRETS": str(tmp_path)}
    return parse(["--name", "w1"], environment)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("Bearer ${env:TOKEN}", "Bearer from-env"),
        ("${file:TOKEN}/${env:TOKEN}", "from-a-file/from-env"),
        ("$${env:TOKEN}", "${env:TOKEN}"),
        ("$TOKEN ${TOKEN} ${env:1}", "$TOKEN ${TOKEN} ${env:1}"),
    ],
)
def test_references_are_filled_and_all_else_stays(settings, text, filled):
    assert fill(text, settings) == filled


@pytest.mark.parametrize("source", ["env", "file"])
def test_an_unset_secret_is_named_with_the_worker(settings, source):
    with pytest.raises(SecretUnsetError, match=rf"\$\{{{source}:NOPE\}}.*worker w1"):
        fill(f"${{{source}:NOPE}}", settings)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://127.0.0.1:9", ()),
        ("http://[::1]:9", ()),
        ("http://chat.internal", ()),  # a name: the engine judges the address that it connects to
        ("http://10.1.2.3:80", ("10.0.0.0/8",)),
        ("https://10.1.2.3", ("10.1.2.3:443",)),
    ],
)
def test_targets_that_may_be_loaded_pass(url, allowed):
    check_target(url, allowed)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [("http://10.1.2.3", ()), ("https://10.1.2.3", ("10.1.2.3:80",)), ("ftp://127.0.0.1", ()), ("x", ())],
)
def test_literal_addresses_off_the_list_are_refused(url, allowed):
    with pytest.raises(TargetRefusedError):
        check_target(url, allowed)
