"""From a stored spec to an engine's first order: files fetched, secrets filled in, the target let through."""

from collections.abc import Iterator
from pathlib import Path, PurePath

import msgspec

from workers.attempts.mailbox import Worker
from workers.contract.data import FileData, HistogramFile, SyntheticData
from workers.contract.schedule import OpenArrivals
from workers.contract.spec import FileRef, LoadSpec, RegressionSpec, ShardTask
from workers.engine import wire
from workers.files import fetch
from workers.guard import check_target, fill_target, secrets_of
from workers.user_code import find_code


def prepare(task: ShardTask, spec: LoadSpec | RegressionSpec, worker: Worker, *, mark: Path) -> wire.Prepare:
    """Everything an engine needs to get ready.

    In a stored spec `FileData.path` is the file's sha256; the engine gets the local path. Raises
    SecretUnsetError, TargetRefusedError, DataError, UserCodeRefusedError.
    """
    settings = worker.settings
    target = fill_target(spec.target, settings)
    check_target(target.url, settings.allow_targets)
    files = {ref.sha256: _local(ref.sha256, ref.name, worker) for ref in _refs(spec)}
    filled = msgspec.structs.replace(spec, target=target)
    if isinstance(filled, LoadSpec) and isinstance(filled.data, FileData):
        data = filled.data
        path = _local(data.path, data.name or data.path, worker)
        files[data.path] = path
        filled = msgspec.structs.replace(filled, data=msgspec.structs.replace(data, path=path))
    if isinstance(filled, LoadSpec) and filled.locustfile is not None:
        files[filled.locustfile.sha256] = find_code(filled.locustfile, settings)
    return wire.Prepare(
        task=task,
        spec=msgspec.json.encode(filled),
        files=files,
        headers=target.headers,
        allow_targets=settings.allow_targets,
        watermark=str(mark),
        seen=wire.Seen(secrets=secrets_of(spec.target, settings)),
        # each slot has its part, so that all engines of this worker together stay under them
        target_limits={place: per_s / settings.slots for place, per_s in settings.target_limits.items()},
    )


def _refs(spec: LoadSpec | RegressionSpec) -> Iterator[FileRef]:
    if isinstance(spec, RegressionSpec):
        yield spec.golden
    if isinstance(spec, LoadSpec):
        yield from _refs_of_load(spec)
    if spec.target.tokenizer is not None:
        yield spec.target.tokenizer
    tls = spec.target.tls
    if tls is not None:
        yield from (ref for ref in (tls.ca, tls.cert, tls.key) if ref is not None)


def _refs_of_load(spec: LoadSpec) -> Iterator[FileRef]:
    """Packed times of a trace, and histograms of lengths."""
    trace = spec.arrivals.trace if isinstance(spec.arrivals, OpenArrivals) else None
    if trace is not None:  # packed from a file that may lie behind a URL; itself it is only in Redis
        yield FileRef(trace.sha256, trace.size_bytes, f"times of {PurePath(trace.name).name}")
    if isinstance(spec.data, SyntheticData):
        for length in (spec.data.input_tokens, spec.data.output_tokens, spec.data.shared_prefix):
            if isinstance(length, HistogramFile):
                yield FileRef(length.path, 0, length.name)


def _local(sha256: str, name: str, worker: Worker) -> str:
    folder = worker.settings.home / "files"
    with worker.link.open_client() as client:
        return str(fetch(client, sha256, folder=folder, name=name, stop=worker.draining))
