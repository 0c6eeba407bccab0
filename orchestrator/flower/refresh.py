"""Flower's page of tasks made to watch a campaign by: kept fresh, and a line a task."""

from typing import Any

from flower.options import options  # type: ignore[import-untyped]

EVERY_MS = 2000
_SCRIPT = """\
<style>
#tasks-table_processing { display: none !important; }
#tasks-table td { white-space: nowrap; }
#tasks-table td:nth-child(3) { max-width: 40em; }
#tasks-table .task-uuid-full { display: inline-block; max-width: 7em; overflow: hidden;
  text-overflow: ellipsis; vertical-align: bottom; }
</style>
<script>
setInterval(function () {
  if (!document.hidden && $.fn.DataTable.isDataTable('#tasks-table')) {
    $('#tasks-table').DataTable().ajax.reload(null, false);
  }
}, %d);
</script>
"""


class Refresh:
    """One answer on its way out (Tornado's `transforms`): the page of tasks gets a script."""

    def __init__(self, request: Any) -> None:
        self._tasks = request.path.endswith("/tasks")

    def transform_first_chunk(
        self,
        status_code: int,
        headers: Any,
        chunk: bytes,
        finishing: bool,  # noqa: FBT001  # Tornado's
    ) -> tuple[int, Any, bytes]:
        """The head and the first part of an answer; Flower sends its pages in one."""
        if self._tasks and status_code == 200 and finishing and options.auto_refresh:
            chunk = chunk.replace(b"</body>", (_SCRIPT % EVERY_MS).encode() + b"</body>", 1)
            headers["Content-Length"] = str(len(chunk))
        return status_code, headers, chunk

    def transform_chunk(self, chunk: bytes, finishing: bool) -> bytes:  # noqa: FBT001, ARG002  # Tornado's
        """A further part."""
        return chunk
