"""How many calls of functions a request or a token takes: a figure that no other process disturbs.

python -m load.calls --cases chat-64,one-token --contestants unigate,vllm

Counts what the main thread of each front end calls, Python's functions and C's, while a case runs.
Time it is not: a call that is made once for a request costs more than one that is made often, whose
code is in the caches. Prints a table, and writes which functions they are to build/calls.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from load.bench import DEMO, OPTIONS, CaseError, some_of, traffic
from load.cases import CASES
from load.contestant import CONTESTANTS, ROOT, Contestant, ContestantError

_COUNTING = Path(__file__).with_name("counting")
_LONGEST_WRITING_S = 30.0
Calls = list[tuple[str, int]]


def main() -> None:
    """Count, and print; the exit code is 1 when something could not be counted."""
    said = _arguments()
    said.out.mkdir(parents=True, exist_ok=True)
    failed = False
    sys.stdout.write(
        "| case | contestant | calls per token, or per request |\n| --- | --- | --: |\n"
    )
    for name in said.contestants:
        for case in said.cases:
            try:
                calls, units = _counted(name, case)
            except (CaseError, ContestantError) as error:
                sys.stderr.write(f"{name}, {case}: {error}\n")
                failed = True
                continue
            per_unit = sum(number for _, number in calls) / units
            sys.stdout.write(f"| {case} | {name} | {per_unit:.1f} |\n")
            lines = (f"{number / units:9.2f} {function}\n" for function, number in calls)
            (said.out / f"{case}-{name}.txt").write_text("".join(lines))
    sys.exit(failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=some_of(CASES), default="chat-64,one-token")
    parser.add_argument("--contestants", type=some_of(["unigate", "vllm"]), default="unigate,vllm")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "calls")
    return parser.parse_args()


def _counted(name: str, case: str) -> tuple[Calls, float]:
    """The calls of each function, most first, and the tokens or requests that they were for."""
    with (
        tempfile.TemporaryDirectory() as place,
        _counting(Path(place) / "calls.json") as file,
        CONTESTANTS[name](str(DEMO), OPTIONS) as contestant,
    ):
        for _ in range(2):  # caches fill
            traffic(contestant, case)
        _signal(contestant)
        seen = traffic(contestant, case)
        _signal(contestant)
        calls = _read(file)
    return calls, seen.get("tokens", seen["requests"])


@contextmanager
def _counting(file: Path) -> Iterator[Path]:
    """Have what is started in here count its calls into `file`."""
    mine = {"LOAD_CALLS": str(file), "PYTHONPATH": str(_COUNTING)}
    before = {name: os.environ.get(name) for name in mine}
    os.environ.update(mine)
    try:
        yield file
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _signal(contestant: Contestant) -> None:
    (root,) = contestant.roots
    os.kill(root, signal.SIGUSR1)


def _read(file: Path) -> Calls:
    until_s = time.monotonic() + _LONGEST_WRITING_S
    while not file.exists():
        if time.monotonic() > until_s:
            raise CaseError("nothing was counted")
        time.sleep(0.1)
    return [(function, number) for function, number in json.loads(file.read_text())]


if __name__ == "__main__":
    main()
