import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestrator.plan import plan_of
from orchestrator.results.results import samples_unreached
from orchestrator.results.samples import stored_samples


def write(folder, name, rows):
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"index": list(range(rows))}), folder / name)


def test_rows_and_files_are_counted_by_activity(tmp_path):
    write(tmp_path, "surge-0-1-000.parquet", 5)
    write(tmp_path, "surge-0-1-001.parquet", 2)
    write(tmp_path, "peak.two-part-11-2-000.parquet", 3)
    for url in (str(tmp_path), f"file://{tmp_path}"):
        assert stored_samples(url) == {"surge": (7, 2), "peak/two-part": (3, 1)}


def test_what_is_broken_or_half_written_has_no_rows(tmp_path):
    write(tmp_path, "surge-0-1-000.parquet", 5)
    (tmp_path / "surge-0-1-001.parquet").write_bytes(b"PAR1 but no more")
    (tmp_path / "surge-0-1-002.parquet.ab12.new").write_bytes(b"")
    assert stored_samples(str(tmp_path)) == {"surge": (5, 2)}


def test_where_there_is_no_folder_there_are_none(tmp_path):
    assert stored_samples(str(tmp_path / "none")) == {}
    assert stored_samples("memory://no-such-run/samples") == {}


@pytest.mark.parametrize(("top", "more"), [("samples: all\n", ""), ("", "        samples: 1%\n")])
def test_a_folder_of_the_coordinators_host_alone_is_refused_for_samples(
    campaign_of, load_activity, top, more
):
    plan = plan_of(campaign_of(("p", load_activity + more), top=top), seed=1)
    why = samples_unreached(plan, "/srv/runs")
    assert "coordinator keeps them at /srv/runs" in why
    assert "--runs s3://BUCKET/PATH" in why
    assert samples_unreached(plan, "s3://bucket/runs") == ""
    assert samples_unreached(plan, "file:///shared/runs") == ""


def test_a_campaign_without_samples_is_kept_anywhere(campaign_of, load_activity):
    top = "samples: all\n"
    none = load_activity + "        samples: none\n"
    assert samples_unreached(plan_of(campaign_of(("p", load_activity)), seed=1), "/srv/runs") == ""
    assert samples_unreached(plan_of(campaign_of(("p", none), top=top), seed=1), "/srv/runs") == ""
