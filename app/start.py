"""Where the process begins: makes signals count from the first moment, then loads the rest.

A process that is the first of its container ignores SIGTERM until it handles it, and what the
command line needs takes a third of a second to import.
"""

import gc
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn


def _catch_signals() -> None:
    def leave(number: int, frame: object) -> None:
        del number, frame
        os._exit(0)  # nothing has been started yet

    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGTERM, leave)


def _import_fast() -> None:
    """Leave what is imported to the end of it: the collector takes a tenth of that time or more.

    `app.lifecycle` turns it on again.
    """
    gc.disable()


def _end_quietly() -> None:
    """Let Ctrl-C end the process as it ends any program, not with Python's traceback."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def unigate() -> NoReturn:
    """`unigate VERB …`."""
    if sys.argv[1:2] == ["serve"]:
        _catch_signals()
        _import_fast()
    else:
        _end_quietly()
    from app.cli import main  # noqa: PLC0415  # after the signals

    main()


def nim_serve() -> NoReturn:
    """`nim-serve …`, the same as `unigate serve …`."""
    _catch_signals()
    _import_fast()
    from app.cli import nim_serve as serve  # noqa: PLC0415  # after the signals

    serve()


def verb() -> NoReturn:
    """`list-model-profiles …` and the other verbs that are programs of their own name."""
    _end_quietly()
    from app.cli import run_verb  # noqa: PLC0415  # as above

    program = Path(sys.argv[0]).name
    run_verb(program, sys.argv[1:], program)
