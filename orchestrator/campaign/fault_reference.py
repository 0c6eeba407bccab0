"""docs/faults.md, from the table of faults and what each kind says of itself: `python -m` this module."""

import inspect
import types
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from workers.chaos import TABLE
from workers.chaos.contract import Fault, Kind, kind_of

_CLASSES: Final[Mapping[str, str]] = {
    "": "Rehearsal",
    "process": "Done to processes",
    "host": "Done to a host",
    "network": "Done to the network",
    "gpu": "Done to GPUs",
    "clients": "Done by clients",
    "platform": "Done by something of the platform",
}
_PARTS: Final = (
    ("check", "Needs"),
    ("inject", "Done"),
    ("verify", "Seen"),
    ("revert", "Undone"),
    ("residue", "Nothing left"),
)
_NAMES: Final[Mapping[Any, str]] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    type(None): "",
}
_INTRO: Final = """\
# Faults

<!-- Written by `make docs` from the kinds in workers/chaos/. Do not edit by hand. -->

What a chaos activity can do. [campaign.md](campaign.md) has the keys around it, [chaos.md](chaos.md) says
what must hold meanwhile, [ADDING.md](ADDING.md) how a fault is added. Faults with a page of their own: those
that [clients](client-faults.md) do, those on the [way to a dependency](proxies.md), and
[your own](own-faults.md).

## How every fault is done

1. **check**: can this host do it? Probed, never assumed; what is missing is said, and nothing is touched.
2. The **ledger** on the worker's disk says what must be undone, before it is done. Another fault on the
   same process, port, host or file is refused, whichever campaign it is of.
3. A **guardian**, a process of its own, is started: it reverts at the time limit, and when the worker is
   killed, hangs or runs out of memory. Where the kernel has time-outs they stand behind it, and the
   ledger is read when a worker starts.
4. **inject**, then **verify** looks at the effect from outside until the time is over. A fault that did
   not take effect, or lost it, makes its activity invalid: its expectations say nothing.
5. **revert**, then the host is searched for what is left. Residue is reported loudly, retried by the
   guardian, and tried again when the worker starts.

A fault ends early, and is reverted, when the campaign is stopped (`abort_if`, `abort`, `halt`), when its
worker drains, and when no coordinator was heard of for `on_lost_coordinator`. Before the first fault of a
phase the activities that it observes must hold their objectives; else all of them are withheld, and the
report says why.

## Several in one activity

`faults` lists several in place of `fault`, `match`, `with` and `for`. `order: sequence` does one after
the other, with `pause` between; `parallel` each at its own `at`; `random` draws by the campaign's seed
for as long as `for` says. `where: {at_most: N}` bounds the hosts; each host does the same steps.
`intensity: [25%, 50%, 100%]` does a fault in steps of strength, its time divided evenly: it multiplies
the options that are marked with ×.

```yaml
- name: worse-and-worse
  kind: chaos
  at: 1m
  pause: 20s
  faults:
    - {fault: pause-process, match: {port: 8000}, for: 2s}
    - {fault: kill-process, match: {port: 8000}}
  expect: ["recovery < 30s"]
```

In a report each step on each host is a fault of its own; `during worse-and-worse` and `expect` are about
the time from the first injection to the last revert. All steps are held against the 30 s before the first
one.

## How far a fault may reach

`where` chooses hosts (1 unless `at_most` says more), `protect` names labels whose hosts never get a
fault. A fault that a whole host feels is refused where Redis, a coordinator or load of the campaign
lives, unless the activity says `on_generators: true`. No fault is held for longer than 1h. `shakeout plan
FILE` says which processes each would touch now. Which programs and rights a host has to give, and how
containers and services get them: [deploy/README.md](../deploy/README.md#what-faults-need).
"""


def fault_reference() -> str:
    """The page, in Markdown."""
    rooms: dict[str, list[str]] = {room: [] for room in _CLASSES}
    for name in sorted(TABLE):
        room = TABLE[name].partition(":")[0].rpartition(".")[0]
        rooms[room].append(name)
    body = [_INTRO, *_overview(rooms)]
    for room, names in rooms.items():
        body.append(f"## {_CLASSES[room]}\n")
        shared = [made for made, count in Counter(kind_of(name).made for name in names).items() if count > 1]
        for made in shared:
            alike = ", ".join(f"`{name}`" for name in names if kind_of(name).made is made)
            body += [f"Alike for {alike}:\n", *_parts(made), ""]
        for name in names:
            kind = kind_of(name)
            body += [*_fault(name, kind), *(() if kind.made in shared else (*_parts(kind.made), ""))]
    return "\n".join(body)


def _overview(rooms: Mapping[str, Sequence[str]]) -> Iterator[str]:
    yield "## All of them\n\n| fault | class | | lasts |\n|---|---|---|---|"
    for room, names in rooms.items():
        for name in names:
            kind = kind_of(name)
            lasts = "held" if kind.held else "one-shot"
            what = first_sentence(kind.make)
            yield f"| [`{name}`](#{name}) | {_CLASSES[room].lower()} | {what} | {lasts} |"
    yield ""


def _fault(name: str, kind: Kind) -> Iterator[str]:
    yield f"### {name}\n"
    yield f"{_words(kind.make)}\n"
    yield f"{' '.join(_traits(kind))}\n"
    options = list(msgspec.structs.fields(kind.Options))
    if options:
        yield "| option | type | default |\n|---|---|---|"
        hints = get_type_hints(kind.Options, include_extras=True)
        for one in options:
            strength = " ×" if one.name in kind.scales else ""
            yield f"| `{one.name}`{strength} | {type_of(hints[one.name])} | {_default(one)} |"
        yield ""
        yield f"{_words(kind.Options)}\n"


def _parts(made: type[Fault]) -> Iterator[str]:
    """What each method does, as its docstring says it."""
    for method, title in _PARTS:
        if said := _words(getattr(made, method)):
            yield f"- **{title}.** {said}"


def _traits(kind: Kind) -> Iterator[str]:
    yield "Held for a time (`for`)." if kind.held else "One-shot: nothing is reverted."
    if kind.needs_match:
        yield "Needs `match`, except on a demo target."
    if kind.client:
        yield "Done by clients of ours: needs `target`."
    if kind.wide:
        yield "The whole host feels it."
    if kind.scales:
        yield "Knows degrees (`intensity`)."


def _default(one: Any) -> str:
    if one.required:
        return "required"
    if one.default is msgspec.NODEFAULT or one.default in (None, "", ()):
        return ""
    several = isinstance(one.default, tuple)
    return f"`{', '.join(map(str, one.default)) if several else one.default}`"


def type_of(hint: Any) -> str:
    """A type as a person writes its values, with its limits."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        limits = [words for extra in arguments[1:] for words in _limits(extra)]
        return " ".join([type_of(arguments[0]), *limits])
    if origin is Literal:
        return " \\| ".join(f"`{one}`" for one in arguments)
    if origin in (Union, types.UnionType):
        return " \\| ".join(filter(None, (type_of(one) for one in arguments)))
    if origin in (tuple, list):
        return f"list of {type_of(arguments[0])}"
    if origin is dict:
        return f"mapping of {type_of(arguments[0])} to {type_of(arguments[1])}"
    return _NAMES.get(
        hint, "mapping" if isinstance(hint, type) and issubclass(hint, msgspec.Struct) else "any"
    )


def _limits(extra: Any) -> Iterator[str]:
    """What a constraint allows, in words; a pattern says nothing to a person."""
    if not isinstance(extra, msgspec.Meta):
        return
    for key, words in (("ge", "from"), ("gt", "above"), ("le", "to"), ("lt", "below")):
        if (value := getattr(extra, key)) is not None:
            yield f"{words} {value:,}" if isinstance(value, int) else f"{words} {value:g}"


def first_sentence(thing: Any) -> str:
    """The first sentence of a docstring."""
    return _words(thing).split(". ")[0].rstrip(".") + "."


def _words(thing: Any) -> str:
    """A docstring as one paragraph of Markdown."""
    return " ".join((inspect.getdoc(thing) or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    print(fault_reference(), end="")
