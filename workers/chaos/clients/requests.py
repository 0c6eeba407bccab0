"""The requests of clients: rows of a file, or small ones made up, as the target's protocol writes them."""

import random
from pathlib import Path
from typing import Any

import msgspec

from workers.chaos.aim import Aim
from workers.chaos.clients.admission import PROMPTED
from workers.contract.errors import DataError, FaultError, ProtocolError, ShakeoutWorkerError
from workers.contract.files.data_rows import read_row
from workers.contract.files.tables import form_of, read_rows
from workers.protocols.contract import Request, Row
from workers.protocols.select import make_protocol

MOST_ROWS = 1000
"""Rows of a file that clients take in turn; they are held whole."""
ZEROS_FOR = "kserve-v2"
"""The protocol whose targets tell what their inputs are."""

_WITH_LIMIT = frozenset({"openai-chat", "openai-completions", "triton-generate"})
_WORDS = ("keel", "sail", "mast", "tide", "port", "wind", "crew", "deck", "rope", "helm")


class Requests:
    """Requests by their index. `rows`: as the fault's options name the file; "" for made-up ones.

    `tokens`: output that made-up requests ask for. Raises FaultError where there are no rows to be had.
    """

    def __init__(self, aim: Aim, *, rows: str, seed: int, tokens: int) -> None:
        self._aim, self._seed, self._tokens = aim, seed, tokens
        self._protocol = make_protocol(aim.protocol, aim.options, seed=seed, for_regression=False)
        self._rows = _rows_of(aim, rows) if rows else []
        self._zeros: dict[str, Any] | None = None
        if not self._rows and aim.protocol not in PROMPTED and aim.protocol != ZEROS_FOR:
            raise FaultError(
                f"target {aim.name} ({aim.protocol}) needs rows to send: say `with: {{rows: PATH}}`, "
                "a data file of the campaign"
            )

    @property
    def wants_metadata(self) -> bool:
        """Whether requests can only be made up once the target has said what its inputs are."""
        return self._aim.protocol == ZEROS_FOR and not self._rows

    def metadata_path(self) -> str:
        """Where the target tells what its inputs are."""
        path, mark, query = self.built({"inputs": [{"name": "any"}]}).path.partition("?")
        return path.removesuffix("/infer") + mark + query

    def take_metadata(self, body: bytes) -> None:
        """Take what the target says of its inputs. Raises FaultError where that cannot be read."""
        try:
            inputs = msgspec.json.decode(body, type=_Metadata).inputs
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise FaultError(f"target {self._aim.name}: its metadata cannot be read: {error}") from error
        self._zeros = {"inputs": [_zeros(one) for one in inputs]}

    def rows(self) -> list[dict[str, Any]]:
        """Those that are taken in turn; where they are made up, the first one."""
        return self._rows or [self.row(0)]

    def check(self) -> None:
        """Raise FaultError for a row that does not fit the target's protocol."""
        for number, row in enumerate(self.rows(), 1):
            try:
                self.built(row)
            except ProtocolError as error:
                raise FaultError(
                    f"row {number} of the fault does not fit {self._aim.protocol}: {error}"
                ) from error

    def row(self, index: int) -> dict[str, Any]:
        """The row of request `index`, to be changed at will."""
        if self._rows:
            return dict(self._rows[index % len(self._rows)])
        if self._zeros is not None:
            return dict(self._zeros)
        prompt = self.prompt(index, words=8)
        if self._aim.protocol in _WITH_LIMIT:
            return {"prompt": prompt, "max_tokens": self._tokens}
        return {"prompt": prompt}

    def prompt(self, index: int, *, words: int) -> str:
        """So many words, other ones for each index."""
        drawn = random.Random(f"{self._seed}/{index}")
        return " ".join(drawn.choices(_WORDS, k=words))

    def of(self, index: int) -> Request:
        """The request of that index. Raises ProtocolError where its row does not fit."""
        return self.built(self.row(index))

    def built(self, row: Row) -> Request:
        """A row as the target's protocol writes it. Raises ProtocolError where it does not fit."""
        return self._protocol.build(row)


class _Input(msgspec.Struct):
    name: str
    datatype: str
    shape: list[int]


class _Metadata(msgspec.Struct):
    inputs: list[_Input]


def _zeros(tensor: _Input) -> dict[str, Any]:
    shape = [size if size > 0 else 1 for size in tensor.shape]
    count = 1
    for size in shape:
        count *= size
    zero: Any = "" if tensor.datatype == "BYTES" else False if tensor.datatype == "BOOL" else 0
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": shape, "data": [zero] * count}


def _rows_of(aim: Aim, name: str) -> list[dict[str, Any]]:
    path = Path(aim.files.get(name, name))
    found: list[dict[str, Any]] = []
    try:
        for number, value in read_rows(path, name=name, form=form_of(path, name=name)):
            if isinstance(value, ValueError):
                raise DataError(f"{name}:{number}: {value}")
            found.append(read_row(value, (), where=f"{name}:{number}", number=number).request)
            if len(found) == MOST_ROWS:
                break
    except ShakeoutWorkerError as error:
        raise FaultError(f"rows of the fault: {error}") from error
    if not found:
        raise FaultError(f"rows of the fault: {name} has none; write one JSON object a line")
    return found
