"""Counts calls of the main thread between two SIGUSR1; Python imports it where it is on the path.

A call of a function, Python's or C's, and each time that a coroutine or generator goes on. What was
counted is written to the file of LOAD_CALLS, as `[[name, calls], …]`, when the second signal comes.
"""

import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

_FILE = "LOAD_CALLS"
_counted: Counter[tuple[CodeType, str]] = Counter()
"""By the code that was called; for a function of C's by the code that called it, and its name."""


def _count(frame: FrameType, event: str, argument: Any) -> None:
    if event == "call":
        _counted[frame.f_code, ""] += 1
    elif event == "c_call":
        _counted[frame.f_code, getattr(argument, "__qualname__", repr(argument))] += 1


def _begin_or_end(number: int, frame: FrameType | None) -> None:
    del number, frame
    if sys.getprofile() is None:
        _counted.clear()
        sys.setprofile(_count)
        return
    sys.setprofile(None)
    names = [(_name(*it), calls) for it, calls in _counted.most_common()]
    file = Path(os.environ[_FILE])
    unfinished = file.with_suffix(".part")
    unfinished.write_text(json.dumps(names))
    unfinished.rename(file)


def _name(code: CodeType, called: str) -> str:
    name = f"{code.co_filename.rpartition('site-packages/')[2]} {code.co_qualname}"
    return f"{called} in {name}" if called else name


if _FILE in os.environ:
    signal.signal(signal.SIGUSR1, _begin_or_end)
