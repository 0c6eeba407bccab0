import msgspec
import pytest

from workers.contract.data import (
    DataSpec,
    FileData,
    Histogram,
    HistogramFile,
    LogNormal,
    SyntheticData,
    Uniform,
)


@pytest.mark.parametrize(
    "spec",
    [
        FileData("/x", order="shuffle", at_end="stop", tags=("a",), lengths=True),
        SyntheticData(Uniform(1, 2), Histogram((1,), (1.0,)), LogNormal(3, 0.1)),
        SyntheticData(HistogramFile("/x", "lengths.csv"), Uniform(1, 2)),
    ],
)
def test_a_spec_survives_the_wire(spec):
    assert msgspec.json.decode(msgspec.json.encode(spec), type=DataSpec) == spec
