"""How the clients of a load behave: whether they try again, and whether they talk in several turns."""

import msgspec


class Breaker(msgspec.Struct, frozen=True):
    """A client that gives the target up for a while.

    Once the share `failures` of the tries that ended in the last `window_s` failed, nothing is sent for
    `open_for_s`; then one try decides.
    """

    failures: float
    window_s: float
    open_for_s: float


class Retries(msgspec.Struct, frozen=True):
    """Which failed tries are followed by another.

    `on`: outcomes as expressions name them, `http_5xx` among them. `attempts`: tries of one request at most.
    The k-th pause is min(`max_backoff_s`, `backoff_s` * 2^(k-1)), of which `jitter` leaves a part. No try is
    begun later than `within_s` after the first. `budget`: of the requests of the last 10 s, the share that
    may be tried again; None: all. `retry_after`: an answer's own wish is heard, up to `max_backoff_s`.
    """

    on: tuple[str, ...]
    attempts: int
    backoff_s: float
    max_backoff_s: float
    jitter: str
    within_s: float
    budget: float | None = None
    breaker: Breaker | None = None
    retry_after: bool = True

    def wants(self, outcome: str) -> bool:
        """Whether a try that ended so is one to repeat."""
        return outcome in self.on or (outcome.startswith("http_") and f"http_{outcome[5]}xx" in self.on)


class Sessions(msgspec.Struct, frozen=True):
    """Each arrival begins a conversation of `turns` requests, each `think_s` after the answer before."""

    turns: int
    think_s: float
