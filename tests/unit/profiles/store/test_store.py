"""What the store promises whatever the source is: whole, once, and usable after every mishap."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from profiles.download import fetch
from profiles.errors import ModelNotAvailableError
from profiles.model_directory import verify
from profiles.progress import Phase, Progress
from profiles.source import HubModel, LocalModel
from tests.support.hub import COMMIT, Hub, hub
from tests.support.places import dead_mount, read_only, tmpfs
from tests.support.wait import wait_until
from tests.unit.profiles.store.conftest import Fetch, content, safetensors

DEMO = HubModel("org/demo")
SHARD = "model-00001-of-00002.safetensors"
FETCHING = Path(__file__).with_name("fetching.py")
ROOT = Path(__file__).parents[4]


def start(server: Hub, cache: Path, *user: str) -> subprocess.Popen[str]:
    """Another process that fetches the same model."""
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "HF_TOKEN": "hf_x"}
    return subprocess.Popen(  # noqa: S603
        [sys.executable, str(FETCHING), server.url, str(cache), *user],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def damage(path: Path) -> None:
    """One wrong bit, of a file that keeps its size."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def published(cache: Path) -> list[Path]:
    return [path for path in (cache / "models").glob("*/*") if path.name != "refs"]


def test_a_directory_of_this_machine_is_served_in_place(tmp_path: Path) -> None:
    assert fetch(LocalModel(tmp_path), cache=tmp_path / "cache") == tmp_path
    assert not (tmp_path / "cache").exists()


def test_two_processes_download_once(model: Path, cache: Path) -> None:
    with hub(model) as server:
        server.faults.slow_s = 0.02
        first, second = start(server, cache), start(server, cache)
        results = [process.communicate(timeout=30) for process in (first, second)]
        assert server.sent_bytes == sum(len(data) for data in content(model).values())
    directories = {out.strip() for out, _ in results}
    assert directories == {str(cache / "models" / "hf--org--demo" / COMMIT)}
    assert content(Path(directories.pop())) == content(model)
    assert sum("store.published" in err for _, err in results) == 1
    waited = [err for _, err in results if "store.waiting" in err]
    assert len(waited) == 1
    pids = {str(first.pid), str(second.pid)}
    assert any(f"process {pid} on " in waited[0] for pid in pids)
    assert not (cache / "staging" / "hf--org--demo").exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda n: n.name)
def test_a_killed_downloader_leaves_no_lock_and_loses_no_byte(
    model: Path, cache: Path, get: Fetch, number: signal.Signals
) -> None:
    (model / SHARD).write_bytes(safetensors(SHARD, 8_000_000))
    with hub(model) as server:
        server.faults.slow_s = 0.03
        process = start(server, cache)
        wait_until(
            lambda: server.sent.get(SHARD, 0) > 500_000, within_s=20, what="it is on its way"
        )
        process.send_signal(number)
        process.communicate(timeout=5)
        assert not published(cache)
        (part,) = sorted((cache / "staging" / "hf--org--demo").glob("*.part"), key=size)[-1:]
        arrived = size(part)
        assert arrived > 100_000
        server.faults.slow_s = 0
        server.headers_seen.clear()
        assert content(get(DEMO, endpoint=server.url)) == content(model)
        ranges = [headers.get("range", "") for headers in server.headers_seen]
        assert any(asked.startswith(f"bytes={arrived}-") for asked in ranges)


def size(path: Path) -> int:
    return path.stat().st_size


def test_while_another_process_downloads_the_progress_says_who(
    model: Path, cache: Path, get: Fetch
) -> None:
    with hub(model) as server:
        server.faults.slow_s = 0.05
        process = start(server, cache)
        wait_until(lambda: server.sent_bytes, within_s=20, what="the other has begun")
        progress = Progress()
        thread = threading.Thread(
            target=get, args=(DEMO,), kwargs={"endpoint": server.url, "progress": progress}
        )
        thread.start()
        wait_until(lambda: progress.read().phase is Phase.WAITING, within_s=5, what="it waits")
        assert f"for process {process.pid} on" in progress.read().note
        server.faults.slow_s = 0
        process.communicate(timeout=20)
        thread.join(timeout=10)
        assert progress.read().phase is Phase.DONE


def test_a_damaged_file_is_never_served_but_fetched_again(model: Path, get: Fetch) -> None:
    with hub(model) as server:
        directory = get(DEMO, endpoint=server.url)
        damage(directory / SHARD)
        server.sent.clear()
        assert get(DEMO, endpoint=server.url) == directory
        assert set(server.sent) == {SHARD}
    assert content(directory) == content(model)
    assert len(published(directory.parents[2])) == 1


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (damage, "has another checksum"),
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(b"cut"), "has another size"),
    ],
    ids=["flipped", "missing", "cut"],
)
def test_a_damaged_file_is_named_where_nothing_can_be_fetched(
    model: Path, get: Fetch, harm: object, sentence: str
) -> None:
    with hub(model) as server:
        directory = get(DEMO, endpoint=server.url)
    assert callable(harm)
    harm(directory / SHARD)
    with pytest.raises(ModelNotAvailableError, match=rf"damaged.*{sentence}") as caught:
        get(DEMO, offline=True)
    assert SHARD in str(caught.value)
    with pytest.raises(ModelNotAvailableError, match="cannot be reached"):
        get(DEMO, endpoint="http://127.0.0.1:9")


def test_damage_that_keeps_the_time_is_found_when_every_file_is_read(
    model: Path, get: Fetch
) -> None:
    with hub(model) as server:
        directory = get(DEMO, endpoint=server.url)
        before = (directory / SHARD).stat()
        damage(directory / SHARD)
        os.utime(directory / SHARD, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert get(DEMO, endpoint=server.url) == directory
        assert content(get(DEMO, endpoint=server.url, verify_every_file=True)) == content(model)


def test_a_copy_that_lost_its_times_is_read_through_once(
    model: Path, cache: Path, tmp_path: Path, get: Fetch
) -> None:
    with hub(model) as server:
        get(DEMO, endpoint=server.url)
    shutil.copytree(cache, tmp_path / "copy", copy_function=shutil.copyfile)
    progress = Progress()
    moved = get(DEMO, offline=True, cache=tmp_path / "copy", progress=progress)
    assert content(moved) == content(model)
    known = json.loads((moved / ".unigate.json").read_text())
    assert {f["modified_ns"] for f in known["files"]} == {
        (moved / f["path"]).stat().st_mtime_ns for f in known["files"]
    }


def test_half_a_model_is_not_served_offline(model: Path, cache: Path, get: Fetch) -> None:
    with hub(model) as server:
        server.faults.cuts = [1_000_000, 0, 0, 0]
        with pytest.raises(ModelNotAvailableError):
            get(DEMO, endpoint=server.url, workers=1)
    assert not published(cache)
    with pytest.raises(ModelNotAvailableError, match=r"unfinished download holds [0-9]+ KiB"):
        get(DEMO, offline=True)


def test_offline_without_a_copy_says_where_it_looked(cache: Path, get: Fetch) -> None:
    with pytest.raises(ModelNotAvailableError, match="NIM_DISABLE_MODEL_DOWNLOAD") as caught:
        get(DEMO, offline=True)
    assert str(cache) in str(caught.value)


def test_no_first_byte_comes_of_a_model_that_does_not_fit(model: Path, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "small", 1_000_000) as small, hub(model) as server:
        with pytest.raises(ModelNotAvailableError, match=r"needs 2\.?9* ?[KM]iB|needs 3 MiB") as e:
            fetch(DEMO, cache=small, endpoint=server.url)
        assert not server.sent_bytes
    assert "free 2 MiB, or set NIM_CACHE_PATH to a larger volume" in str(e.value)


def test_a_disk_that_fills_up_ends_it_and_leaves_the_store_usable(
    model: Path, tmp_path: Path, get: Fetch
) -> None:
    with tmpfs(tmp_path / "small", 8_000_000) as small, hub(model) as server:
        one = get(HubModel("org/demo", None, ("config.json",)), endpoint=server.url, cache=small)
        server.held.clear()
        failures: list[BaseException] = []

        def run() -> None:
            try:
                get(DEMO, endpoint=server.url, cache=small)
            except ModelNotAvailableError as error:
                failures.append(error)

        thread = threading.Thread(target=run)
        server.faults.slow_s = 0.02
        server.held.set()
        thread.start()
        wait_until(lambda: server.sent_bytes > 200_000, within_s=5, what="it is on its way")
        # Somebody else takes the space after it was judged.
        ballast = small / "ballast"
        with pytest.raises(OSError, match="No space left"):
            ballast.write_bytes(b"x" * 8_000_000)
        thread.join(timeout=20)
        assert "no space is left in the store" in str(failures[0])
        assert "free some, or set NIM_CACHE_PATH" in str(failures[0])
        # What was there is served, and with space the rest comes.
        server.faults.slow_s = 0
        assert get(HubModel("org/demo", None, ("config.json",)), offline=True, cache=small) == one
        ballast.unlink()
        assert content(get(DEMO, endpoint=server.url, cache=small)) == content(model)


def test_a_full_disk_still_serves_what_it_holds(model: Path, tmp_path: Path, get: Fetch) -> None:
    with tmpfs(tmp_path / "small", 8_000_000) as small, hub(model) as server:
        directory = get(DEMO, endpoint=server.url, cache=small)
        with pytest.raises(OSError, match="No space left"):
            (small / "ballast").write_bytes(b"x" * 8_000_000)
        assert get(DEMO, endpoint=server.url, cache=small) == directory
        assert get(DEMO, offline=True, cache=small) == directory


def test_a_read_only_store_serves_what_it_holds(model: Path, cache: Path, get: Fetch) -> None:
    with hub(model) as server:
        directory = get(DEMO, endpoint=server.url)
        with read_only(cache):
            assert get(DEMO, endpoint=server.url) == directory
            assert get(DEMO, offline=True) == directory
            os.utime(model / SHARD)
            with pytest.raises(ModelNotAvailableError, match="mounted read-only"):
                get(HubModel("org/demo", None, ("config.json",)), endpoint=server.url)
    verify(directory)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_store_of_somebody_else_is_named_with_the_command_that_mends_it(
    model: Path, cache: Path, tmp_path: Path
) -> None:
    cache.mkdir(mode=0o755)
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)
    with hub(model) as server:
        _, said = start(server, cache, "65534").communicate(timeout=30)
    assert "exit 4: user 65534:65534 may not use" in said
    assert f"{cache} belongs to 0:0 with mode 0755" in said
    assert f"chown -R 65534:65534 {cache}" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_model_that_cannot_be_read_is_named(model: Path, cache: Path, get: Fetch) -> None:
    for directory in (cache.parent, *cache.parents[1:3]):
        directory.chmod(0o755)
    with hub(model) as server:
        directory = get(DEMO, endpoint=server.url)
        (directory / ".unigate.json").chmod(0o600)
        _, said = start(server, cache, "65534").communicate(timeout=30)
    assert "exit 4: user 65534:65534 may not use" in said
    assert str(directory) in said


def test_a_store_behind_a_file_is_named(model: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with hub(model) as server, pytest.raises(ModelNotAvailableError, match=str(blocked)):
        fetch(DEMO, cache=blocked / "cache", endpoint=server.url)


def test_a_dead_mount_is_named_in_time(tmp_path: Path) -> None:
    with dead_mount(tmp_path / "nfs") as dead:
        started_s = time.monotonic()
        with pytest.raises(ModelNotAvailableError, match="does not answer after 1 s") as caught:
            fetch(DEMO, cache=dead / "cache", probe_timeout_s=0.5, offline=True)
        assert time.monotonic() - started_s < 20
    assert f"mounted at {dead}, type fuse.dead, from dead" in str(caught.value)
    assert "NIM_CACHE_PROBE_TIMEOUT" in str(caught.value)


def test_a_store_that_blocks_is_named_in_time(cache: Path) -> None:
    """The same without a mount: a pipe blocks whoever opens it to write."""
    cache.mkdir()
    os.mkfifo(cache / ".unigate-probe")
    try:
        with pytest.raises(ModelNotAvailableError, match="does not answer"):
            fetch(DEMO, cache=cache, probe_timeout_s=0.2, offline=True)
    finally:
        os.close(os.open(cache / ".unigate-probe", os.O_RDONLY | os.O_NONBLOCK))


def test_a_file_that_is_damaged_while_it_waits_for_the_others_is_fetched_again(
    model: Path, cache: Path, get: Fetch
) -> None:
    (model / "zzz.safetensors").write_bytes(safetensors("last", 100_000))
    with hub(model) as server:
        # The two large ones come first, then the last is cut for good.
        server.faults.cuts = [9_999_999, 9_999_999, 0, 0, 0]
        with pytest.raises(ModelNotAvailableError):
            get(DEMO, endpoint=server.url, workers=1)
        whole = [path for path in (cache / "staging" / "hf--org--demo").iterdir() if size(path)]
        assert len(whole) == 2
        damage(whole[0])
        server.sent.clear()
        assert content(get(DEMO, endpoint=server.url, workers=1)) == content(model)
        assert len([name for name in server.sent if name.startswith("model-0000")]) == 1


def test_what_an_earlier_process_left_is_removed(model: Path, cache: Path, get: Fetch) -> None:
    staging = cache / "staging" / "hf--org--demo"
    (staging / "tree").mkdir(parents=True)
    (staging / "tree" / "config.json").write_text("old")
    (staging / "something.part").write_text("of another revision")
    with hub(model) as server:
        assert content(get(DEMO, endpoint=server.url)) == content(model)
    assert not staging.exists()


def test_what_nobody_goes_on_with_is_removed_in_the_end(
    model: Path, cache: Path, get: Fetch
) -> None:
    old, recent, busy = (cache / "staging" / name for name in ("old", "recent", "busy"))
    long_ago_s = time.time() - 30 * 24 * 3600
    for directory in (old, recent, busy):
        directory.mkdir(parents=True)
        (directory / "some.part").write_text("half")
    for path in (old / "some.part", old, busy / "some.part", busy):
        os.utime(path, (long_ago_s, long_ago_s))
    (cache / "locks").mkdir()
    with hub(model) as server, FileLock(cache / "locks" / "busy.lock"):
        get(DEMO, endpoint=server.url)
    assert not old.exists()
    assert recent.exists()
    assert busy.exists()


def test_a_download_ends_promptly_when_asked_to(model: Path, cache: Path, get: Fetch) -> None:
    stop = threading.Event()
    with hub(model) as server:
        server.faults.slow_s = 0.05
        threading.Timer(0.3, stop.set).start()
        started_s = time.monotonic()
        with pytest.raises(ModelNotAvailableError, match="was stopped"):
            get(DEMO, endpoint=server.url, stop=stop)
        assert time.monotonic() - started_s < 20
        assert not published(cache)


def test_progress_is_told_at_every_moment(model: Path, get: Fetch) -> None:
    progress = Progress()
    seen = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            seen.append(progress.read())

    thread = threading.Thread(target=watch)
    thread.start()
    with hub(model) as server:
        server.faults.slow_s = 0.02
        get(DEMO, endpoint=server.url, progress=progress)
    over.set()
    thread.join()
    downloading = [reading for reading in seen if reading.phase is Phase.DOWNLOADING]
    assert {reading.bytes_total for reading in downloading} == {
        sum(len(data) for data in content(model).values())
    }
    counts = [reading.bytes_done for reading in downloading]
    assert counts == sorted(counts)
    assert any(0 < count < downloading[0].bytes_total for count in counts)
    assert any(reading.eta_s for reading in downloading)
    assert progress.read().phase is Phase.DONE
