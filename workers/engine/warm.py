"""What an idle engine does before anybody waits for it: import late modules, freeze the heap.

A fleet's engines get ready at the same moment on few cores; 8 on 2 cores took 0.2 s for what stands here.
"""

import gc

import workers.protocols
from workers.contract.kinds import resolve


def warm_up() -> None:
    """Load what the first attempt would load, and leave little for the collection that precedes its start."""
    import gevent.resolver.thread  # noqa: F401, PLC0415  # names are looked up by it
    import numpy.random  # noqa: F401, PLC0415  # numpy loads it on first use

    for name in workers.protocols.TABLE:
        resolve(workers.protocols.__name__, workers.protocols.TABLE, name)
    gc.collect()
    gc.freeze()
