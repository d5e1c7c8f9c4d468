"""Where the process begins: makes signals count from the first moment, then loads the rest.

A process that is the first of its container ignores SIGTERM until it handles it, and what the
command line needs takes a third of a second to import.
"""

import os
import signal
from typing import NoReturn


def _catch_signals() -> None:
    def leave(number: int, frame: object) -> None:
        del number, frame
        os._exit(0)  # nothing has been started yet

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)


def unigate() -> NoReturn:
    """`unigate VERB …`."""
    _catch_signals()
    from app.cli import main  # noqa: PLC0415  # after the signals

    main()


def nim_serve() -> NoReturn:
    """`nim-serve …`, the same as `unigate serve …`."""
    _catch_signals()
    from app.cli import nim_serve as serve  # noqa: PLC0415  # after the signals

    serve()
