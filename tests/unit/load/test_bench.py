"""The meter's command, as far as it goes without an engine."""

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.support.wait import wait_until

ROOT = Path(__file__).parents[3]


def bench(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603  # ours
        [sys.executable, "-m", "load.bench", *words],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_a_contestant_that_does_not_start_is_in_the_report_once(tmp_path: Path) -> None:
    model = str(tmp_path / "nothing-here")
    words = ("--contestants", "unigate", "--cases", "start", "--rounds", "3", "--model", model)
    done = bench(*words, "--out", str(tmp_path), "--", "--dtype", "float32")
    assert done.returncode == 1
    assert "Not measured:" in done.stdout
    report = json.loads((tmp_path / "bench.json").read_text())
    assert report["circumstances"]["options"] == "--dtype float32"
    assert report["samples"] == []
    [failure] = report["failures"]
    assert failure["round"] == 1
    assert "nothing-here" in failure["why"]


def test_in_turns_one_that_does_not_start_leaves_the_others_to_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOAD_BEFORE", raising=False)
    model = str(tmp_path / "nothing-here")
    words = ("--in-turns", "--contestants", "before,unigate", "--cases", "start", "--model", model)
    done = bench(*words, "--out", str(tmp_path))
    assert done.returncode == 1
    report = json.loads((tmp_path / "bench.json").read_text())
    assert report["circumstances"]["rounds"] == "3 in turns"
    before, unigate = report["failures"]
    assert before["why"] == "name another checkout of this server in LOAD_BEFORE"
    assert (unigate["contestant"], unigate["round"]) == ("unigate", 1)


def test_what_is_not_known_is_refused_with_what_there_is() -> None:
    done = bench("--cases", "chat-8,chat-9")
    assert done.returncode == 2
    assert "no 'chat-9' here; there are start, chat-1, chat-8" in done.stderr


def test_whoever_ends_it_ends_what_it_has_started_and_has_its_report(tmp_path: Path) -> None:
    words = ("--contestants", "unigate", "--cases", "start", "--rounds", "1")
    bench = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "load.bench", *words, "--out", str(tmp_path)],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        process = psutil.Process(bench.pid)

        def is_serving() -> bool:
            with suppress(psutil.Error):  # others come and go
                return any("serve" in child.cmdline() for child in process.children())
            return False

        wait_until(is_serving, within_s=20, what="a contestant is started")
        started = process.children(recursive=True)
        bench.terminate()
        assert bench.wait(60) == 1
        assert not any(child.is_running() for child in started)
        assert (tmp_path / "bench.json").exists()
    finally:
        bench.kill()
        bench.wait()
