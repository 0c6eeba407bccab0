from io import BytesIO

import pandas as pd
import pytest

from orchestrator.report.build import build_report
from orchestrator.report.intervals import intervals_parquet


@pytest.fixture(scope="module")
def frame(failed):
    return pd.read_parquet(BytesIO(intervals_parquet(failed)))


def test_there_is_one_row_an_activity_group_and_second(frame):
    assert not frame.duplicated(["activity", "group", "second"]).any()
    assert set(frame["group"]) == {"judged", "warmup"}


def test_rows_add_up_to_the_report(frame, failed):
    asked = build_report(failed)["activities"]["peak-load"]["requests"]
    rows = frame[(frame["activity"] == "peak-load") & (frame["group"] == "judged")]
    for name in ("scheduled", "sent", "ok", "failed", "unknown"):
        assert int(rows[name].sum()) == asked[name]
    assert int(rows["unsent_generator"].sum()) == asked["unsent_by"]["generator"]
    balance = rows["ok"] + rows["failed"] + rows["unknown"] + rows["unsent_generator"] + rows["unsent_target"]
    assert (rows["scheduled"] == balance).all()


def test_completions_stand_once_a_second(frame, failed):
    totals = next(
        one.totals for phase in failed.phases for one in phase.measured if one.plan.key == "peak-load"
    )
    rows = frame[frame["activity"] == "peak-load"]
    within = sum(n for second, n in totals.completions.items() if second < 60)
    assert int(rows["completions"].sum()) == within


def test_a_quantity_that_a_second_lacks_is_null(frame):
    golden = frame[frame["activity"] == "golden"]
    assert golden["itl_p50_s"].isna().all()
    load = frame[(frame["activity"] == "peak-load") & (frame["second"] == 30)]
    assert 0.3 < float(load["ttft_p50_s"].iloc[0]) < 0.4
    assert float(load["latency_p50_s"].iloc[0]) <= float(load["latency_p99_s"].iloc[0])


def test_a_row_says_when_on_the_common_clock_its_second_began(frame, failed):
    row = frame[(frame["activity"] == "peak-load") & (frame["second"] == 10)].iloc[0]
    assert row["start_s"] == failed.state.phases["peak"].start_s + 10
