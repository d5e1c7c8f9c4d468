"""The garbage collector: while thousands of modules are imported, and while requests are served."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_NEVER = 1 << 30
# Objects more than before. A request makes about a thousand and leaves none, unless it has images:
# `app.middleware.body_limit` looks after those.
_YOUNG = 10_000
# A chat has about 170 while it is answered, one with tools more. Without this, 256 that came
# together stopped the event loop four times, for up to 14 ms.
_PER_REQUEST = 500


@contextmanager
def only_young() -> Iterator[None]:
    """Collect what is new and nothing else, then let all that is there stay for good.

    The collector would go through a million objects again and again, for up to 0.4 s each time,
    and nothing else would run meanwhile. Without it 15 MiB of garbage would stay: what imports
    leave behind, copies of `sys.modules` above all, is in cycles. Most of it is garbage soon, so
    looking at the youngest finds it, a third of a millisecond at a time.
    """
    youngest, *older = gc.get_threshold()
    gc.set_threshold(youngest, _NEVER, _NEVER)
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(youngest, *older)


def expect(requests: int) -> None:
    """So many are in hand. What they have is no garbage: the more, the later it is looked."""
    gc.set_threshold(_YOUNG + _PER_REQUEST * requests)


def look_seldom() -> None:
    """From now on, look seldom, and only at what is made from now on.

    What exists now stays. Collecting it first would stop the event loop for 0.2 s.
    """
    gc.freeze()
    _, *older = gc.get_threshold()
    gc.set_threshold(_YOUNG, *older)
