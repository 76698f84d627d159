"""How a process imports: quickly, and only what it needs.

`chassis.service` imports what one kind of process needs when it is that kind; the rest is never loaded.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

UNUSED = "rich"
"""structlog loads it for coloured tracebacks wherever it finds it, as beside tools for developers."""


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import in the block without looking for garbage: there is none, and the search is a fifth of the time.

    What was imported is never searched again, so that later searches pause a request for less.
    """
    blocked = UNUSED not in sys.modules
    if blocked:
        # None makes an import of that name fail, as where it is not installed.
        sys.modules[UNUSED] = None  # type: ignore[assignment]
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        if blocked:
            del sys.modules[UNUSED]
