"""From a stored spec to an engine's first order: files fetched, secrets filled in, the target let through."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from workers.contract.data import FileData
from workers.contract.spec import FileRef, LoadSpec, RegressionSpec, ShardTask, TargetSpec
from workers.engine import wire
from workers.files import fetch
from workers.guard import check_target, fill
from workers.mailbox import Worker


def prepare(task: ShardTask, spec: LoadSpec | RegressionSpec, worker: Worker, *, mark: Path) -> wire.Prepare:
    """Everything an engine needs to get ready.

    In a stored spec `FileData.path` is the file's sha256; the engine gets the local path. Raises
    SecretUnsetError, TargetRefusedError, DataError.
    """
    settings = worker.settings
    target = _filled(spec.target, worker)
    check_target(target.url, settings.allow_targets)
    files = {ref.sha256: _local(ref.sha256, ref.name, worker) for ref in _refs(spec)}
    filled = msgspec.structs.replace(spec, target=target)
    if isinstance(filled, LoadSpec) and isinstance(filled.data, FileData):
        data = filled.data
        path = _local(data.path, data.name or data.path, worker)
        files[data.path] = path
        filled = msgspec.structs.replace(filled, data=msgspec.structs.replace(data, path=path))
    return wire.Prepare(
        task=task,
        spec=msgspec.json.encode(filled),
        files=files,
        headers=target.headers,
        allow_targets=settings.allow_targets,
        watermark=str(mark),
    )


def _filled(target: TargetSpec, worker: Worker) -> TargetSpec:
    """The target with its secrets: references may stand in `url` and `headers`."""
    settings = worker.settings
    url = fill(target.url, settings)
    options = dict(target.options)
    if isinstance(options.get("url"), str):
        options["url"] = fill(options["url"], settings)
    headers = {name: fill(value, settings) for name, value in target.headers.items()}
    return msgspec.structs.replace(target, url=url, options=options, headers=headers)


def _refs(spec: LoadSpec | RegressionSpec) -> Iterator[FileRef]:
    if isinstance(spec, RegressionSpec):
        yield spec.golden
    tls = spec.target.tls
    if tls is not None:
        yield from (ref for ref in (tls.ca, tls.cert, tls.key) if ref is not None)


def _local(sha256: str, name: str, worker: Worker) -> str:
    folder = worker.settings.home / "files"
    return str(fetch(worker.link.open_client(), sha256, folder=folder, name=name))
