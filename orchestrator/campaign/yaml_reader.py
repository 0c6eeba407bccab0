"""YAML 1.2 core schema with places: CAMPAIGN.md section 1, over PyYAML's parser of events.

Plain scalars become true, false, null, decimal integers and floats; all else is text. Sizes, depth and nodes
are bounded after aliases are followed, so a small file cannot grow large.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import yaml

from orchestrator.campaign.yaml_words import QUOTE_HINT, in_words

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 32
MAX_NODES: Final = 20_000
# Longer numbers are no campaign's, and Python refuses to convert very long ones.
MAX_DIGITS: Final = 40

_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS: Final = {"": None, "~": None, "null": None, "true": True, "false": False}

Scalar = str | int | float | bool | None
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Line and column, both from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping with its value; `place` is where the key stands."""

    place: Place
    node: "Node"


@dataclass(frozen=True, slots=True)
class Node:
    """A value with its place.

    `text_place` is where the text of a one-line scalar begins (behind an opening quote), None for others.
    `size` and `depth` count the nodes and levels below, aliases followed.
    """

    value: "Scalar | dict[str, Entry] | list[Node]"
    place: Place
    text_place: Place | None = None
    size: int = 1
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong with the YAML itself."""

    place: Place
    message: str
    hint: str = ""


class YamlError(Exception):
    """The text is not YAML as Shakeout reads it; `flaws` holds all that were found."""

    def __init__(self, flaws: tuple[Flaw, ...]) -> None:
        super().__init__("; ".join(flaw.message for flaw in flaws))
        self.flaws = flaws


@dataclass(slots=True)
class _Reading:
    """What one reading has gathered so far."""

    events: Iterator[yaml.Event]
    anchors: dict[str, Node | None] = field(default_factory=dict)
    flaws: list[Flaw] = field(default_factory=list)
    nodes: int = 0


def decode(raw: bytes) -> str:
    """Text of the file's bytes. Raises YamlError where it is too large or no UTF-8, with the place."""
    if len(raw) > MAX_BYTES:
        flaw = Flaw(
            Place(1, 1), "the file is larger than 1 MiB", "a campaign is small: name its data as files"
        )
        raise YamlError((flaw,))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig")
        line = before.count("\n") + 1
        column = len(before) - (before.rfind("\n") + 1) + 1
        flaw = Flaw(
            Place(line, column),
            f"byte 0x{raw[error.start]:02x} is not UTF-8",
            "save the file as UTF-8",
        )
        raise YamlError((flaw,)) from None


def read(text: str) -> Node:
    """The one document of `text`. Raises YamlError with every flaw that was found."""
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise YamlError((Flaw(Place(1, 1), "the text is longer than 1 MiB"),))
    reading = _Reading(iter(yaml.parse(text, Loader=yaml.SafeLoader)))
    try:
        root = _document(reading)
    except yaml.MarkedYAMLError as error:
        raise YamlError((*reading.flaws, _flaw(error))) from None
    except yaml.reader.ReaderError as error:
        before = text[: int(error.position)]
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        flaw = Flaw(place, f"character U+{ord(text[int(error.position)]):04X} is not allowed")
        raise YamlError((*reading.flaws, flaw)) from None
    if reading.flaws:
        raise YamlError(tuple(reading.flaws))
    return root


def plain(node: Node) -> object:
    """The value without places: dicts, lists and scalars, nothing shared."""
    if isinstance(node.value, dict):
        return {key: plain(entry.node) for key, entry in node.value.items()}
    if isinstance(node.value, list):
        return [plain(item) for item in node.value]
    return node.value


def resolve(text: str) -> Scalar:
    """What a plain scalar means in the core schema; raises ValueError for a number beyond all bounds."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        if len(text) > MAX_DIGITS:
            raise ValueError(f"a number of {len(text)} digits")
        return int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise ValueError(f"{text} is too large")
        return number
    return text


def _document(reading: _Reading) -> Node:
    next(reading.events)  # the start of the stream
    first = next(reading.events)
    if isinstance(first, yaml.StreamEndEvent):
        raise YamlError((Flaw(Place(1, 1), "the file is empty"),))
    root = _node(reading, next(reading.events), 1)
    next(reading.events)  # the end of the document
    after = next(reading.events)
    if not isinstance(after, yaml.StreamEndEvent):
        reading.flaws.append(Flaw(_place(after), "a second document; a file holds one campaign"))
    return root


def _node(reading: _Reading, event: yaml.Event, depth: int) -> Node:
    if depth > MAX_DEPTH:
        raise YamlError((*reading.flaws, Flaw(_place(event), f"nested deeper than {MAX_DEPTH} levels")))
    if isinstance(event, yaml.AliasEvent):
        return _alias(reading, event, depth)
    assert isinstance(event, yaml.NodeEvent)  # noqa: S101  # the parser's grammar
    _count(reading, event, 1)
    if event.anchor is not None:
        reading.anchors[event.anchor] = None
    _refuse_tag(reading, event)
    if isinstance(event, yaml.MappingStartEvent):
        node = _mapping(reading, event, depth)
    elif isinstance(event, yaml.SequenceStartEvent):
        node = _sequence(reading, event, depth)
    else:
        assert isinstance(event, yaml.ScalarEvent)  # noqa: S101  # the parser's grammar
        node = _scalar(reading, event)
    if event.anchor is not None:
        reading.anchors[event.anchor] = node
    return node


def _refuse_tag(reading: _Reading, event: yaml.Event) -> None:
    if (tag := getattr(event, "tag", None)) is not None:
        reading.flaws.append(Flaw(_place(event), f"tag {tag!r}: tags are not read", "leave it out"))


def _count(reading: _Reading, event: yaml.Event, nodes: int) -> None:
    reading.nodes += nodes
    if reading.nodes > MAX_NODES:
        flaw = Flaw(_place(event), f"more than {MAX_NODES:,} values, aliases counted as what they stand for")
        raise YamlError((*reading.flaws, flaw))


def _alias(reading: _Reading, event: yaml.AliasEvent, depth: int) -> Node:
    place = _place(event)
    anchor = event.anchor or ""
    node = reading.anchors.get(anchor)
    if node is None:
        known = anchor in reading.anchors
        said = "stands inside its own anchor" if known else "has no anchor before it"
        raise YamlError((*reading.flaws, Flaw(place, f"alias *{anchor} {said}")))
    if depth + node.depth - 1 > MAX_DEPTH:
        raise YamlError((*reading.flaws, Flaw(place, f"nested deeper than {MAX_DEPTH} levels")))
    _count(reading, event, node.size)
    return node


def _mapping(reading: _Reading, event: yaml.Event, depth: int) -> Node:
    own: dict[str, Entry] = {}
    merged: dict[str, Entry] = {}
    merge: Place | None = None
    while not isinstance(key := next(reading.events), yaml.MappingEndEvent):
        if not isinstance(key, yaml.ScalarEvent):
            raise YamlError((*reading.flaws, Flaw(_place(key), "a key must be text", QUOTE_HINT)))
        _count(reading, key, 1)
        _refuse_tag(reading, key)
        entry = Entry(_place(key), _node(reading, next(reading.events), depth + 1))
        merges = key.value == "<<" and key.style is None
        first = merge if merges else own[key.value].place if key.value in own else None
        if first is not None:
            said = f"key {key.value!r} stands twice; first on line {first.line}"
            reading.flaws.append(Flaw(entry.place, said, "say <<: [*one, *other]" if merges else ""))
        elif merges:
            merge = entry.place
            merged = _merge(reading, entry)
        else:
            own[key.value] = entry
    # Own keys first: what is written here wins over what is merged in.
    entries = own | {name: entry for name, entry in merged.items() if name not in own}
    below = [entry.node for entry in entries.values()]
    size = 1 + len(entries) + sum(node.size for node in below)
    return Node(entries, _place(event), None, size, 1 + max((node.depth for node in below), default=0))


def _merge(reading: _Reading, entry: Entry) -> dict[str, Entry]:
    sources = entry.node.value if isinstance(entry.node.value, list) else [entry.node]
    merged: dict[str, Entry] = {}
    for source in sources:
        if not isinstance(source.value, dict):
            reading.flaws.append(Flaw(entry.place, "<< takes a mapping, or a list of mappings"))
            continue
        _count_merge(reading, entry, source)
        for name, other in source.value.items():
            merged.setdefault(name, other)
    return merged


def _count_merge(reading: _Reading, entry: Entry, source: Node) -> None:
    reading.nodes += source.size
    if reading.nodes > MAX_NODES:
        raise YamlError((*reading.flaws, Flaw(entry.place, f"more than {MAX_NODES:,} values after merging")))


def _sequence(reading: _Reading, event: yaml.Event, depth: int) -> Node:
    items: list[Node] = []
    while not isinstance(item := next(reading.events), yaml.SequenceEndEvent):
        items.append(_node(reading, item, depth + 1))
    size = 1 + sum(node.size for node in items)
    return Node(items, _place(event), None, size, 1 + max((node.depth for node in items), default=0))


def _scalar(reading: _Reading, event: yaml.ScalarEvent) -> Node:
    place = _place(event)
    end = event.end_mark
    one_line = end is not None and end.line + 1 == place.line and event.style not in ("|", ">")
    shift = 0 if event.style is None else 1
    text_place = Place(place.line, place.column + shift) if one_line else None
    if event.style is not None:
        return Node(event.value, place, text_place)
    try:
        return Node(resolve(event.value), place, text_place)
    except ValueError as error:
        reading.flaws.append(Flaw(place, str(error)))
        return Node(None, place)


def _place(event: yaml.Event) -> Place:
    mark = event.start_mark
    assert mark is not None  # noqa: S101  # only events made by hand have none
    return Place(mark.line + 1, mark.column + 1)


def _flaw(error: yaml.MarkedYAMLError) -> Flaw:
    said = in_words(error)
    mark = error.context_mark if said.at_opening else error.problem_mark
    mark = mark or error.problem_mark or error.context_mark
    place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
    return Flaw(place, said.message, said.hint)
