"""Which campaign a command means: by its id, or without one the only one that is live."""

from difflib import get_close_matches
from typing import Final

from orchestrator.cli.exits import EXIT_USAGE, fail
from orchestrator.store.store import Store
from workers.contract.broker import names
from workers.contract.decoding import texts

MOST_LISTED: Final = 12
MOST_COMPARED: Final = 1000
"""Finished campaigns, the newest first, among which a mistyped id is looked for."""


def which(store: Store, id_: str | None, *, command: str) -> str:
    """The id of a campaign that Redis knows, live or finished; exit 2 where none can be meant.

    `command`: what to type again with an id, e.g. `watch`. Raises redis errors.
    """
    live = store.campaigns()
    if id_ is not None:
        if id_ not in live and not store.is_finished(id_):
            fail(unknown(store, id_), EXIT_USAGE)
        return id_
    if not live:
        fail("no campaign runs; `shakeout list` shows those that have ended", EXIT_USAGE)
    if len(live) > 1:
        shown = "".join(f"\n  shakeout {command} {one}" for one in live[-MOST_LISTED:])
        fail(f"{len(live)} campaigns run: say which{shown}", EXIT_USAGE)
    return live[0]


def unknown(store: Store, id_: str) -> str:
    """That no such campaign is known, and the nearest that is."""
    ended = texts(store.client.zrevrange(names.FINISHED, 0, MOST_COMPARED - 1))
    known = [*reversed(store.campaigns()), *ended]
    near = [one for one in known if one.startswith(id_)] or get_close_matches(id_, known, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near[:3])}?" if near else "; `shakeout list` shows those that are"
    return f"no campaign {id_} is known to this fleet{hint}"
