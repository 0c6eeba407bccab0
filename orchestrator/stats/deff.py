"""How much less a request says because the requests of one second share its luck.

A stall of a second spoils all requests in it: they are one event, not a hundred. So counts are divided by a
design effect before limits are taken. METRICS.md section 4.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def design_effect(counts: Sequence[float], overs: Sequence[float]) -> float:
    """The factor by which `n` and `over` are to be divided, at least 1.

    `counts[i]` requests of which `overs[i]` were over the bound fell in second i; the order is time's.
    deff = max(1, Var(shares) * mean count / (p(1-p))) * max(1, 1 + 2 * sum of autocorrelations).
    Seconds without requests have no share. With nothing over, or everything, nothing can be seen of the
    clusters and the answer is 1. A single second with some over is one event: all its requests count as one.
    Sources: Kish, Survey Sampling (1965), section 5.4; Geyer, Statistical Science 7 (1992), section 3.3.
    """
    n = np.asarray(counts, dtype=np.float64)
    over = np.asarray(overs, dtype=np.float64)
    if n.shape != over.shape:
        raise ValueError(f"{n.size} counts and {over.size} overs: one of each a second")
    seen = n > 0
    n, over = n[seen], over[seen]
    total, total_over = float(n.sum()), float(over.sum())
    if total_over in (0.0, total):
        return 1.0
    if n.size == 1:
        return total
    share = total_over / total
    shares = over / n
    within = float(shares.var(ddof=1)) * float(n.mean()) / (share * (1 - share))
    return max(1.0, within) * max(1.0, correlation_time(shares))


def correlation_time(values: Floats) -> float:
    """1 + 2 * sum of the autocorrelations of a series, by Geyer's initial positive pairs.

    Pairs (rho_0 + rho_1), (rho_2 + rho_3), ... are added while they are positive. White noise gives about 1;
    a constant series gives 1.
    """
    rho = autocorrelation(values)
    if rho.size < 2:
        return 1.0
    even = rho.size - rho.size % 2
    pairs = rho[:even:2] + rho[1:even:2]
    falls = np.nonzero(pairs <= 0)[0]
    kept = pairs[: falls[0]] if falls.size else pairs
    return float(2 * kept.sum() - 1) if kept.size else 1.0


def autocorrelation(values: Floats) -> Floats:
    """Autocorrelations rho_0 = 1, rho_1, ... (biased, divided by the length), by FFT.

    Empty for a constant or empty series.
    """
    if values.size == 0:
        return np.empty(0)
    centred = values - values.mean()
    spectrum = np.fft.rfft(centred, n=2 * values.size)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2)[: values.size]
    if covariance[0] <= 1e-24 * max(1.0, float(np.abs(values).max()) ** 2) * values.size:
        return np.empty(0)
    return np.asarray(covariance / covariance[0], dtype=np.float64)
