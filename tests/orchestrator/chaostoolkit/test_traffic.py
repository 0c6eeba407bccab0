"""Tolerances of probes, and the objectives that they come to."""

import pytest

from orchestrator.chaostoolkit.traffic import objective_of
from orchestrator.slo.parse import parse

FINE = "never(connect, reset, timeout, incomplete, http_3xx, http_4xx, http_5xx)"

NO_3XX = "never(connect, reset, timeout, incomplete, http_3xx)"


@pytest.mark.parametrize(
    ("tolerance", "objective", "left_out"),
    [
        (200, FINE, ""),
        ([200, 201], FINE, ""),
        (None, FINE, ""),
        ({"type": "range", "target": "status", "range": [200, 299]}, FINE, ""),
        (404, "always(http_404)", ""),
        (
            [200, 503],
            "never(connect, reset, timeout, incomplete, http_3xx, http_4xx)",
            "single statuses are not told apart",
        ),
        (
            {"type": "range", "target": "status", "range": [200, 404]},
            "never(connect, reset, timeout, incomplete, http_5xx)",
            "single statuses are not told apart",
        ),
        ({"type": "regex", "target": "status", "pattern": "^20[0-4]$"}, FINE, ""),
        ({"type": "regex", "target": "status", "pattern": "^[245].."}, NO_3XX, ""),
        ({"type": "regex", "target": "status", "pattern": "("}, FINE, "not judged"),
        ({"type": "jsonpath", "path": "$.a", "count": 1, "target": "body"}, FINE, "not judged"),
        ({"type": "probe", "name": "p", "provider": {}}, FINE, "not judged"),
        (True, FINE, "not judged"),
        ("OK", FINE, "not judged"),
        ({"type": "regex", "pattern": "ok", "target": "body"}, FINE, "not judged"),
    ],
)
def test_a_tolerance_is_an_objective_as_far_as_it_is_about_the_status(tolerance, objective, left_out):
    found, why = objective_of(tolerance)
    assert found == objective
    assert left_out in why
    assert bool(why) == bool(left_out)
    assert parse(f"{found} outside faults", place="slos")
