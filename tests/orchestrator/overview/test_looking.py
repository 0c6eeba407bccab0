"""What faults would touch on this host, as `plan` asks it without a fleet."""

from orchestrator.overview.looking import ask_here
from workers.contract.fault_steps import FaultStep
from workers.contract.signed.looks import LookAt


def test_commands_of_the_campaigns_own_folder_are_found_as_its_workers_would(tmp_path):
    for name, code in (("break", 0), ("is-broken", 1), ("mend", 0)):
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {code}\n")
        (tmp_path / name).chmod(0o700)
    words = {"inject": ["break"], "verify": ["is-broken"], "revert": ["mend"]}
    known = FaultStep("command", words, None, 0.0, 1.0)
    unknown = FaultStep("command", {**words, "inject": ["smash"]}, None, 0.0, 1.0)
    found, missing = ask_here(tmp_path)((LookAt("own", ("local-1",), (known, unknown)),))
    assert (found.worker, found.touched, found.refused) == (
        "local-1",
        (f"whatever {tmp_path}/break does",),
        "",
    )
    assert f"worker local-1 has no command smash in {tmp_path}" in missing.refused
