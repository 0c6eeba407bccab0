"""`shakeout workers`: who is in the fleet, what each one has, and what is wrong with it."""

from collections import Counter
from typing import Annotated

import typer

from orchestrator.cli.connection import Broker, open_store, reaching
from orchestrator.cli.tables import console, say, show_json, show_table, span
from orchestrator.overview.read import read_workers
from orchestrator.overview.roster import Worker
from orchestrator.slo.words import seconds
from workers.contract.calibration import Calibration
from workers.contract.facts import Gpu
from workers.contract.proxies import ProxyShown

COLOURS = {"gone": "red", "halted": "red", "draining": "yellow"}
_GIB = 2**30


def workers(
    json_: Annotated[bool, typer.Option("--json", help="Print it as JSON, for scripts.")] = False,
    broker: Broker = "",
) -> None:
    """List the workers: slots, labels, GPUs, clock and state; who went silent is shown for 10 minutes."""
    store = open_store(broker)
    with reaching(broker):
        found = read_workers(store)
    if json_:
        show_json(found)
        return
    to = console()
    if not found:
        say(to, "no worker is here: start one with `shakeout worker --name NAME --slots 4`")
        return
    header = ("worker", "state", "slots", "host", "version", "labels", "GPUs", "clock", "one engine", "")
    colours = [COLOURS.get(one.state, "yellow" if one.troubles else "") for one in found]
    show_table(to, header, [_row(one) for one in found], colours=colours)


def _row(one: Worker) -> tuple[str, ...]:
    return (
        one.worker,
        f"gone for {span(one.silent_s)}" if one.state == "gone" else one.state,
        f"{one.used}/{one.slots}",
        one.host,
        one.version,
        " ".join(one.labels),
        gpus_words(one.gpus),
        clock_words(one.clock_offset_s, one.clock_uncertainty_s),
        calibration_words(one.calibration),
        "; ".join((*one.troubles, *map(proxy_words, one.proxies))),
    )


def proxy_words(proxy: ProxyShown) -> str:
    """Where a proxy leads, for whom, or why it does not stand: `proxy 9000 to store:6379`."""
    found = f"proxy {proxy.port} to {proxy.upstream}"
    return f"{found} does not stand: {proxy.why}" if proxy.why else found


def gpus_words(gpus: tuple[Gpu, ...]) -> str:
    """`2 × NVIDIA H200 (141 GiB)`, one entry a model and size; with MIG, how many instances."""
    found: list[str] = []
    for (name, memory_bytes, mig_on, instances), number in Counter(
        (gpu.name, gpu.memory_bytes, gpu.mig_on, len(gpu.mig)) for gpu in gpus
    ).items():
        size = f"{memory_bytes / _GIB:.0f} GiB" if memory_bytes else ""
        mig = f"{instances} MIG instances" if mig_on or instances else ""
        inside = ", ".join(filter(None, (size, mig)))
        found.append(f"{number} × {name}" + (f" ({inside})" if inside else ""))
    return ", ".join(found)


def calibration_words(calibration: Calibration | None) -> str:
    """What one engine can do there: `3,030/s, 410 streams`; empty where that was not measured."""
    if calibration is None:
        return ""
    return f"{calibration.requests_per_s:,.0f}/s, {calibration.streams:,} streams"


def clock_words(offset_s: float, uncertainty_s: float) -> str:
    """How far the common clock is from the worker's own: `+1.25 ms ± 310 µs`."""
    return f"{'+' if offset_s >= 0 else ''}{seconds(offset_s)} ± {seconds(uncertainty_s)}"
