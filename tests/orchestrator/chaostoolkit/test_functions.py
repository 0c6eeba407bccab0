"""Functions of extensions that have an equal here."""

import pytest

from orchestrator.chaostoolkit.experiment import Function
from orchestrator.chaostoolkit.functions import Proxy, meaning_of_function
from orchestrator.chaostoolkit.meanings import Pause, Prepares, Undo, Unmapped

STORE = {"store": Proxy(16379, "store:6379", "0.0.0.0")}


def _toxic(name, **arguments):
    call = Function("chaostoxi.toxic.actions", name, {"for_proxy": "store", "toxic_name": "t", **arguments})
    return meaning_of_function(call, STORE)


@pytest.mark.parametrize(
    ("meaning", "options"),
    [
        (_toxic("create_latency_toxic", latency=250, jitter=0), {"latency": "250ms", "direction": "down"}),
        (_toxic("create_bandwith_degradation_toxic", rate=64), {"rate": "64kB/s", "direction": "down"}),
        (_toxic("create_limiter_toxic", bytes_limit=512), {"truncate_after": "512B", "direction": "down"}),
        (_toxic("create_timeout_toxic", timeout=1000), {"blackhole": True}),
        (
            _toxic("create_slicer_toxic", average_size=32, size_variation=4, delay=100),
            {"slice": "32B", "slice_gap": "100us", "direction": "down"},
        ),
        (
            _toxic(
                "create_toxic", toxic_type="reset_peer", stream="upstream", toxicity=0.25,
                attributes={"timeout": 2000},
            ),
            {"reset_after": "2000ms", "direction": "up", "share": "25%"},
        ),
    ],
)  # fmt: skip
def test_a_toxic_is_a_tcp_proxy(meaning, options):
    assert meaning.fault == "tcp-proxy"
    assert meaning.options == {"listen": 16379, "upstream": "store:6379", "bind": "0.0.0.0", **options}
    assert meaning.undo == "toxic:store/t"


def test_a_proxy_that_is_switched_off_refuses():
    off = meaning_of_function(
        Function("chaostoxi.proxy.actions", "disable_proxy", {"proxy_name": "store"}), STORE
    )
    on = meaning_of_function(
        Function("chaostoxi.proxy.actions", "enable_proxy", {"proxy_name": "store"}), STORE
    )
    assert off.options["refuse"] is True
    assert on == Undo(off.undo)


def test_a_proxy_that_is_made_here_needs_no_step():
    call = Function("toxiproxy.proxy.actions", "create_proxy", {"proxy_name": "store"})
    assert meaning_of_function(call, STORE) == Prepares()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (Function("chaosk8s.node.actions", "drain_nodes", {}), "Kubernetes' objects are not touched"),
        (Function("chaosaws.ec2.actions", "stop_instance", {}), "clouds are not touched"),
        (Function("mine", "own", {}), "mine.own: there is no equal of that function"),
        (Function("chaostoxi.proxy.actions", "modify_proxy", {}), "toxiproxy's modify_proxy has no equal"),
        (
            Function("chaostoxi.toxic.actions", "create_slow_connection_close_toxic", {"for_proxy": "store"}),
            "has no equal",
        ),
        (
            Function("chaostoxi.toxic.actions", "create_latency_toxic", {"for_proxy": "x", "latency": 1}),
            "where proxy 'x' listens",
        ),
    ],
)
def test_what_has_no_equal_says_why(call, words):
    meaning = meaning_of_function(call, STORE)
    assert isinstance(meaning, Unmapped)
    assert words in meaning.why


def test_a_sleep_is_a_pause():
    assert meaning_of_function(Function("time", "sleep", {"secs": 12}), {}) == Pause(12.0)
