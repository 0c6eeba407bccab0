import pytest

from orchestrator.cli.workers import clock_words, gpus_words
from workers.contract.facts import Gpu

H200 = Gpu("NVIDIA H200", memory_bytes=141 * 2**30)


@pytest.mark.parametrize(
    ("gpus", "words"),
    [
        ((), ""),
        ((H200, H200), "2 × NVIDIA H200 (141 GiB)"),
        ((H200, Gpu("NVIDIA L4")), "1 × NVIDIA H200 (141 GiB), 1 × NVIDIA L4"),
        (
            (Gpu("NVIDIA A100", memory_bytes=80 * 2**30, mig=("1g", "1g")),),
            "1 × NVIDIA A100 (80 GiB, 2 MIG instances)",
        ),
        ((Gpu("NVIDIA A100", mig_on=True),), "1 × NVIDIA A100 (0 MIG instances)"),
    ],
)
def test_gpus_are_counted_by_model_and_size(gpus, words):
    assert gpus_words(gpus) == words


@pytest.mark.parametrize(
    ("offset_s", "uncertainty_s", "words"),
    [
        (0.00125, 0.00031, "+1.25 ms ± 310 µs"),
        (-0.02, 0.001, "-20 ms ± 1 ms"),
        (300.0, 0.001, "+5 min ± 1 ms"),
    ],
)
def test_a_clock_is_told_with_how_far_it_can_be_trusted(offset_s, uncertainty_s, words):
    assert clock_words(offset_s, uncertainty_s) == words
