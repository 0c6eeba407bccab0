"""Counting tokens by a tokenizer.json: of words, to make prompts of a length; of answers without usage."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from workers.contract.errors import DataError
from workers.contract.spec import TargetSpec
from workers.engine.tape import Counter
from workers.protocols.contract import Answer, Headers, Pieces, Request, Row, TargetProtocol, Timing

MOST_CHARACTERS: Final = 2_000_000
"""Of an answer that is counted, some 500,000 tokens; beyond it the count is absent."""
AT_ONCE_CHARACTERS: Final = 2_000
"""Text that is counted on the spot, in a fraction of a millisecond; longer text in a thread beside, since it
would make other requests late."""
TEXT_FIELDS: Final = ("reasoning", "content")
"""Fields of an answer that hold what the model put out."""


class Tokens:
    """A tokenizer as its tokenizer.json describes it. Raises DataError where it cannot be read."""

    def __init__(self, path: Path, *, name: str) -> None:
        try:
            from tokenizers import Tokenizer  # noqa: PLC0415  # an extra; 30 ms
        except ImportError as error:
            raise DataError(
                f"{name}: to read a tokenizer this worker needs another package: pip install tokenizers"
            ) from error
        try:
            self._tokenizer: Any = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exceptions
            raise DataError(f"{name} is no tokenizer.json: {str(error)[:200]}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def count(self, text: str) -> int:
        """Tokens of the text alone, without those that a model or a chat template adds."""
        # of the library's ways this one lets other threads run meanwhile
        return len(self._tokenizer.encode_batch_fast([text], add_special_tokens=False)[0])


def tokens_of(target: TargetSpec, files: Mapping[str, str]) -> Tokens | None:
    """The tokenizer of a target that has one; `files`: sha256 -> local path. Raises DataError."""
    ref = target.tokenizer
    return None if ref is None else Tokens(Path(files.get(ref.sha256, ref.name)), name=ref.name)


def counting(protocol: TargetProtocol, counter: Counter) -> TargetProtocol:
    """The protocol, with answers counted where the target tells of no tokens."""
    return cast("TargetProtocol", Counting(protocol, counter))


class Counting:
    """A protocol whose answers are counted where the target tells of no tokens."""

    def __init__(self, protocol: TargetProtocol, counter: Counter) -> None:
        self._protocol = protocol
        self._counter = counter

    def build(self, row: Row) -> Request:
        """As the protocol does."""
        return self._protocol.build(row)

    def parse(self, status: int, headers: Headers, body: bytes) -> Answer:
        """As the protocol does, with output tokens counted where there is no usage."""
        return self._counted(self._protocol.parse(status, headers, body))

    def parse_stream(self, status: int, headers: Headers, chunks: Pieces) -> tuple[Answer, Timing]:
        """As the protocol does, with output tokens counted where there is no usage."""
        answer, timing = self._protocol.parse_stream(status, headers, chunks)
        return self._counted(answer), timing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._protocol, name)

    def _counted(self, answer: Answer) -> Answer:
        if not answer.ok or answer.output_tokens is not None:
            return answer
        texts = [text for text in map(answer.fields.get, TEXT_FIELDS) if isinstance(text, str) and text]
        if not texts or sum(map(len, texts)) > MOST_CHARACTERS:
            return answer
        return msgspec.structs.replace(answer, output_tokens=_count(self._counter, texts))


def _count(counter: Counter, texts: Sequence[str]) -> int:
    if sum(map(len, texts)) <= AT_ONCE_CHARACTERS:
        return sum(map(counter.count, texts))
    import gevent  # noqa: PLC0415

    return int(gevent.get_hub().threadpool.apply(lambda: sum(map(counter.count, texts))))
