"""One line a fault: how to order it, and how to see from outside that it is felt and that nothing is left.

For the torture test, and for whoever wants any fault against something real. A sample is a function of a
`Bench`, which starts what is to be broken; it never asks the fault itself. The fixture `samples` loads it.
"""

import shutil
import tempfile
from collections.abc import Callable

from sample_bench import Bench, Sample
from samples_clients import clients
from samples_gpu import gpu_loss, on_gpus
from samples_host import cpu, descriptors, disk_fill, disk_io, limit_descriptors, memory, refused, throttle
from samples_network import empty_dependency, no_network, packets, slow_proxy
from samples_platform import command, http, restart


def _noop(bench: Bench) -> Sample:
    """It does nothing: it is felt once it stands in the ledger."""
    return Sample(lambda: bool(list(bench.folder.glob("ledger/*.json"))), lambda: "")


def _pause(bench: Bench) -> Sample:
    target = bench.orphan()
    return Sample(
        felt=lambda: target.state() == "T",
        left=lambda: "" if target.state() == "S" else f"the target's state is {target.state()}",
        match=bench.pinned(target.pid),
    )


def _kill(bench: Bench) -> Sample:
    """One-shot: what is killed stays so."""
    target = bench.orphan()
    return Sample(felt=lambda: target.state() in "Zgone", left=lambda: "", match=bench.pinned(target.pid))


SAMPLES: dict[str, Callable[[Bench], Sample]] = {
    "noop": _noop,
    # done to processes
    "pause-process": _pause,
    "kill-process": _kill,
    "restart-process": restart,
    # done to a host
    "cpu": cpu,
    "memory": memory,
    "disk-fill": disk_fill,
    "disk-io": disk_io,
    "descriptors": descriptors,
    "limit-descriptors": limit_descriptors,
    "throttle-process": throttle,
    # done to the network
    "packet-drop": packets({"hosts": ["192.0.2.2"], "ports": [9]}),
    "packet-loss": packets({"hosts": ["192.0.2.2"], "share": "100%"}),
    "partition": packets({"hosts": ["192.0.2.2"]}),
    "netem": packets({"hosts": ["192.0.2.2"], "rate": "10KiB/s"}),
    "tcp-proxy": slow_proxy,
    "dependency": empty_dependency,
    # done to GPUs
    "gpu-memory": on_gpus("bytes", {"size": "1GiB"}),
    "gpu-compute": on_gpus("work", {"share": "50%"}),
    "gpu-loss": gpu_loss,
    # done by clients
    "disconnect-mid-stream": clients({"rate": "50/s", "after_tokens": 5}),
    "slow-loris": clients({"connections": 5, "every": "100ms"}),
    "slow-reader": clients({"connections": 3, "rate": "50B/s"}),
    "malformed": clients({"rate": "20/s"}),
    "null-features": clients({"rate": "20/s"}, rows='{"age": 41, "score": 0.5}'),
    "oversize-prompt": clients({"rate": "20/s", "tokens": 20000}),
    "duplicate": clients({"rate": "20/s", "copies": 2}),
    "burst": clients({"requests": 20, "every": "1s"}),
    "cancel-storm": clients({"requests": 20, "after": "300ms", "every": "500ms"}),
    # done by something of the platform
    "command": command,
    "http": http,
}

UNMET: dict[str, Callable[[], str]] = {
    **dict.fromkeys(
        ("gpu-memory", "gpu-compute", "gpu-loss"), lambda: "" if shutil.which("cc") else "needs a C compiler"
    ),
    **dict.fromkeys(("packet-drop", "packet-loss", "partition", "netem"), no_network),
    "disk-io": lambda: refused("disk-io", path=tempfile.gettempdir(), jobs=1, size="8MiB"),
    "throttle-process": lambda: refused("throttle-process", cores=0.5, memory="256MiB"),
}
"""Fault -> what this machine lacks for it, in words; empty where it lacks nothing.

e.g. "nft-drop": lambda: "" if os.geteuid() == 0 else "needs root": probe, never assume.
"""


def possible() -> dict[str, Callable[[Bench], Sample]]:
    """The samples of faults that this machine can do."""
    return {name: make for name, make in SAMPLES.items() if not (name in UNMET and UNMET[name]())}
