"""`shakeout run | head -1`: who reads the output decides nothing."""

import os


def test_a_run_whose_reader_leaves_goes_on_to_its_report_and_its_own_exit_code(run, target, load) -> None:
    demo = target()
    reader, writer = os.pipe()
    try:
        one = run(load(demo.url, duration="3s", fence="30s"), stdout=writer)
    finally:
        os.close(writer)
    with os.fdopen(reader) as output:
        assert output.readline().startswith("campaign one-load-")
    assert one.wait() == 0
    report = one.report()
    assert report["verdict"] == "pass"
    assert len(demo.received()) == report["activities"]["peak-load"]["requests"]["scheduled"] > 0
