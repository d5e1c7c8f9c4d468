"""Profiles as users meet them: the verbs, the choice at the start, what the probes tell."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.hub import TOKEN, hub
from tests.support.nvml import MACHINES, environment_for
from tests.support.program import BIN, run
from tests.support.server import Server, clean_environment
from tests.support.wait import wait_until

CONFIGS = Path(__file__).parents[1] / "data" / "configs"


@pytest.fixture
def llama_70b(tmp_path: Path) -> Path:
    """A directory that says it is Llama 3.1 70B; nobody reads its weights before the choice."""
    model = tmp_path / "llama-3.1-70b-instruct"
    model.mkdir()
    shutil.copy(CONFIGS / "llama-3.1-70b-instruct.json", model / "config.json")
    return model


def test_the_listing_has_nims_shape(llama_70b: Path) -> None:
    result = run("list-model-profiles", str(llama_70b), machine="8xH100-one-busy")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[:2] == ["SYSTEM INFO", "- Free GPUs:"]
    assert "  -  [2330:10de] (0) NVIDIA H100 80GB HBM3 [current utilization: " in result.stdout
    assert "- Non-free GPUs:" in lines
    assert "MODEL PROFILES" in lines
    assert "- Compatible with system and runnable:" in lines
    assert "  - With LoRA support:" in lines
    assert "- Incompatible with system:" in lines


def test_the_listing_needs_no_model_to_show_the_machine() -> None:
    result = run("list-model-profiles", machine="1xH100")
    assert result.returncode == 0
    assert "NVIDIA H100" in result.stdout
    assert "NIM_MODEL_PATH" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["list-model-profiles", "{model}"],
        ["unigate", "profiles", "explain", "{model}"],
        ["unigate", "profiles", "estimate", "--model", "{model}", "--gpu-memory-gib", "79"],
    ],
    ids=["list", "explain", "estimate"],
)
def test_no_verb_loads_torch_or_a_web_server(demo: Path, words: list[str]) -> None:
    program, *rest = [word.format(model=demo) for word in words]
    script = [sys.executable, "-X", "importtime", str(BIN / program), *rest]
    result = subprocess.run(  # noqa: S603  # our own program
        script, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "profiles.memory.estimate" in imported
    assert not imported & {"torch", "vllm", "transformers", "fastapi", "uvicorn", "obstore"}


@pytest.mark.parametrize(
    "words",
    [
        ["--gpu-memory-gib", "1e300"],
        ["--gpu-memory-gib", "1e-12"],
        ["--gpu-memory-gib", "79", "--max-model-len", "1.5K"],
    ],
)
def test_an_estimate_of_nonsense_is_refused_in_a_sentence(demo: Path, words: list[str]) -> None:
    result = run("unigate", "profiles", "estimate", "--model", str(demo), *words)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert words[-1] in result.stderr


def test_an_estimate_takes_numbers_as_vllm_does_and_names_a_split_that_cannot_be(
    llama_70b: Path,
) -> None:
    words = ["--config", str(llama_70b / "config.json"), "--gpu-memory-gib", "79", "--json"]
    result = run("unigate", "profiles", "estimate", *words, "-tp", "3", "--max-model-len", "32K")
    answer = json.loads(result.stdout)
    assert answer["max_model_len"] == 32768
    assert any("64 attention heads" in doubt for doubt in answer["doubts"])


def test_seventy_billion_on_eight_gpus(llama_70b: Path) -> None:
    result = run("unigate", "profiles", "explain", "--json", str(llama_70b), machine="8xH100")
    answer = json.loads(result.stdout)
    assert answer["name"].startswith("vllm-h100-fp8-tp8-pp1")
    assert answer["gpus"] == list(range(8))
    assert answer["rejected"]
    assert all(entry["reason"] for entry in answer["rejected"])


def cause(server: Server) -> str:
    """Why it ended: the last line of that level."""
    return [line for line in server.log.splitlines() if line.startswith("CRITICAL")][-1]


def test_a_model_that_does_not_fit_ends_the_start_with_the_ways_out(
    llama_70b: Path, tmp_path: Path
) -> None:
    environment = environment_for(MACHINES["1xA100-40"])
    with Server(str(llama_70b), log=tmp_path / "log", environment=environment) as server:
        assert server.wait_for_exit(within_s=15) == 3, server.log
    assert "NO_PROFILE" in cause(server)
    assert "NVIDIA A100" in cause(server)
    assert "Traceback" not in server.log


def test_an_unexpected_profile_ends_the_start(llama_70b: Path, tmp_path: Path) -> None:
    environment = {
        **environment_for(MACHINES["8xH100-one-busy"]),
        "UNIGATE_EXPECT_PROFILE": "vllm-h100-fp8-tp8-pp1-latency",
    }
    with Server(str(llama_70b), log=tmp_path / "log", environment=environment) as server:
        assert server.wait_for_exit(within_s=15) == 3, server.log
    for word in ("UNIGATE_EXPECT_PROFILE", "tp8", "tp4"):
        assert word in cause(server)


def test_a_pin_takes_the_line_as_it_is_listed(llama_70b: Path) -> None:
    listed = run("list-model-profiles", str(llama_70b), machine="8xH100").stdout
    line = next(line for line in listed.splitlines() if "(vllm-bf16-tp8-pp1" in line)
    result = run(
        "unigate", "profiles", "explain", "--json", str(llama_70b),
        machine="8xH100", NIM_MODEL_PROFILE=line.strip(),
    )  # fmt: skip
    assert json.loads(result.stdout)["name"] == "vllm-bf16-tp8-pp1"


def test_a_manifest_of_nims_says_what_to_serve(demo: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "model_manifest.yaml"
    files = {file.name: {"uri": f"hf://org/demo?file={file.name}"} for file in demo.iterdir()}
    tags = {"backend": "vllm", "precision": "bf16", "tp": "2", "feat_lora": "false"}
    profile = {"id": "c" * 64, "tags": tags, "workspace": {"files": files}}
    manifest.write_text(json.dumps({"schema_version": "2.0.0", "profiles": [profile]}))
    with hub(demo) as origin:
        result = run(
            "list-model-profiles", machine="8xH100", NIM_MANIFEST_PATH=str(manifest),
            HF_ENDPOINT=origin.url, NIM_CACHE_PATH=str(tmp_path / "cache"), HOME=str(tmp_path),
        )  # fmt: skip
    assert result.returncode == 0, result.stderr
    (line,) = [line for line in result.stdout.splitlines() if "vllm-" in line]
    assert line.startswith(f"  - {'c' * 64} (vllm-bf16-tp2-pp1")


def test_a_broken_manifest_is_a_bad_setting(demo: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "model_manifest.yaml"
    manifest.write_text("{")
    result = run("list-model-profiles", str(demo), NIM_MANIFEST_PATH=str(manifest))
    assert result.returncode == 2
    assert "is not YAML" in result.stderr


def test_a_dry_run_says_who_decided_each_value(llama_70b: Path) -> None:
    result = run(
        "unigate", "serve", str(llama_70b), "--max-num-seqs", "7", "--dry-run",
        machine="8xH100", NIM_SERVER_PORT="9000", HF_TOKEN=TOKEN,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    rows = dict(line.split(None, 1) for line in result.stdout.splitlines())
    assert rows["port"] == "9000  [NIM_SERVER_PORT]"
    assert "vllm-h100-fp8-tp8-pp1-latency" in rows["profile"]
    assert rows["--tensor-parallel-size"] == "8  [profile vllm-h100-fp8-tp8-pp1-latency]"
    assert rows["--max-num-seqs"] == "7  [command line]"
    assert TOKEN not in result.stdout


def test_a_dry_run_of_what_does_not_fit_says_so(llama_70b: Path) -> None:
    result = run("unigate", "serve", str(llama_70b), "--dry-run", machine="1xA100-40")
    assert result.returncode == 3
    assert "What would help" in result.stderr


def test_a_pin_that_names_nothing(llama_70b: Path) -> None:
    result = run(
        "unigate", "profiles", "explain", str(llama_70b),
        machine="8xH100", NIM_MODEL_PROFILE="vllm-int2-tp8",
    )  # fmt: skip
    assert result.returncode == 3
    assert "vllm-int2-tp8" in result.stderr


def test_what_the_user_says_is_above_the_profile(demo: Path) -> None:
    result = run("unigate", "profiles", "explain", "--json", str(demo), "--", "-tp", "2",
                 machine="8xH100")  # fmt: skip
    assert json.loads(result.stdout)["name"] == "vllm-bf16-tp2-pp1"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--config", "/nowhere/config.json", "--gpu-memory-gib", "80"], "cannot be read"),
        (["--config", __file__, "--gpu-memory-gib", "80"], "cannot be read"),
        (["--model", "/nowhere", "--gpu-memory-gib", "80"], "config.json"),
        (["--model", "{demo}", "--gpu-memory-gib", "-1"], "--gpu-memory-gib"),
        (["--model", "{demo}", "--gpu-memory-gib", "80", "-tp", "0"], "-tp"),
        (["--model", "{demo}", "--gpu-memory-gib", "80", "--parameters", "many"], "--parameters"),
        (["--gpu-memory-gib", "80"], "--config"),
    ],
)
def test_an_estimate_of_nothing(demo: Path, words: list[str], sentence: str) -> None:
    result = run("unigate", "profiles", "estimate", *[word.format(demo=demo) for word in words])
    assert result.returncode in {2, 4}
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


def test_an_estimate_from_a_config_and_a_published_count() -> None:
    result = run(
        "unigate", "profiles", "estimate", "--config", str(CONFIGS / "llama-3.1-8b-instruct.json"),
        "--gpu-memory-gib", "79.25", "--parameters", "8.03B", "--json",
    )  # fmt: skip
    answer = json.loads(result.stdout)
    assert answer["weights_gib_per_gpu"] == pytest.approx(15.0, rel=0.01)
    assert answer["kv_bytes_per_token_per_gpu"] == 131_072
    assert answer["kv_cache_gib_per_gpu"] <= answer["kv_cache_gib_per_gpu_warm"]
    parts = answer["weights_gib_per_gpu"] + answer["overhead_gib_per_gpu"]
    assert sum(answer["terms_gib"].values()) == pytest.approx(parts, abs=0.01)


def test_a_cache_is_filled_once_and_then_needs_no_network(demo: Path, tmp_path: Path) -> None:
    cache = {"NIM_CACHE_PATH": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    with hub(demo) as origin:
        filled = run("download-to-cache", "hf://org/demo", HF_ENDPOINT=origin.url, **cache)
    assert filled.returncode == 0, filled.stderr
    offline = {**cache, "NIM_DISABLE_MODEL_DOWNLOAD": "1"}
    made = run(
        "create-model-store", "--model-repo", "hf://org/demo", "-m", str(tmp_path / "store"),
        **offline,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    for file in demo.iterdir():
        assert (tmp_path / "store" / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGINT, ["download-to-cache"]),
        (signal.SIGTERM, ["download-to-cache"]),
        (signal.SIGINT, ["unigate", "download-to-cache"]),
    ],
    ids=["ctrl-c", "sigterm", "a verb of unigate"],
)
def test_a_download_that_is_interrupted_does_not_claim_success(
    demo: Path, tmp_path: Path, number: signal.Signals, words: list[str]
) -> None:
    with hub(demo) as origin:
        origin.faults.slow_s = 0.1
        cache = {"NIM_CACHE_PATH": str(tmp_path / "cache"), "HOME": str(tmp_path)}
        with (
            subprocess.Popen(  # noqa: S603  # our own programs
                # Whoever runs the tests in the background ignores Ctrl-C, and so would the program.
                [
                    "/usr/bin/env",
                    "--default-signal=INT",
                    str(BIN / words[0]),
                    *words[1:],
                    "hf://org/demo",
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=clean_environment(HF_ENDPOINT=origin.url, **cache),
            ) as process
        ):
            wait_until(lambda: origin.sent_bytes > 300_000, within_s=30, what="some bytes came")
            process.send_signal(number)
            said, complaint = process.communicate(timeout=10)
    assert process.returncode == 128 + number
    assert said == ""
    assert complaint == "stopped; what has arrived is kept for the next time\n"


@pytest.mark.parametrize(
    ("code", "name", "value"),
    [
        (2, "HF_ENDPOINT", "http://127.0.0.1:abc"),
        (4, "SSL_CERT_FILE", "/nowhere.pem"),
        (4, "ALL_PROXY", "socks5://me:5ecre7@127.0.0.1:9"),
        (4, "HTTP_PROXY", "ftp://me:5ecre7@127.0.0.1:9"),
        (2, "NIM_REPOSITORY_OVERRIDE", "https://me:5ecre7@host:abc/"),
    ],
)
def test_a_bad_setting_of_the_network_is_named(
    demo: Path, tmp_path: Path, code: int, name: str, value: str
) -> None:
    home = {"NIM_CACHE_PATH": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    with hub(demo) as origin:
        environment = {"HF_ENDPOINT": origin.url, **home, name: value}
        result = run("download-to-cache", "hf://org/demo", **environment)
    assert result.returncode == code, result.stderr
    assert name in result.stderr
    assert "Traceback" not in result.stderr
    assert "5ecre7" not in result.stderr


def test_a_home_of_somebody_else_is_no_reason_not_to_fetch(demo: Path, tmp_path: Path) -> None:
    with hub(demo) as origin:
        result = run(
            "download-to-cache", "hf://org/demo", HF_ENDPOINT=origin.url, HOME=str(tmp_path),
            HF_TOKEN_PATH=str(tmp_path),  # as unreadable to root as the file of another user
        )  # fmt: skip
    assert result.returncode == 0, result.stderr


def test_an_unknown_profile_is_not_downloaded(demo: Path, tmp_path: Path) -> None:
    with hub(demo) as origin:
        result = run(
            "download-to-cache", "hf://org/demo", "--profiles", "f" * 64,
            HF_ENDPOINT=origin.url, NIM_CACHE_PATH=str(tmp_path / "cache"), HOME=str(tmp_path),
        )  # fmt: skip
    assert result.returncode == 3
    assert "Not all of the provided profiles are supported" in result.stderr
    assert "vllm-cpu-fp32-tp1-pp1" in result.stderr


@pytest.mark.parametrize(
    ("model", "token", "sentence"),
    [
        ("hf://org/gated", TOKEN, "licence"),
        ("hf://org/private", "", "HF_TOKEN"),
        ("hf://org/private", "hf_wrong", "HF_TOKEN"),
    ],
    ids=["gated", "no token", "wrong token"],
)
def test_what_the_hub_refuses_ends_the_start(
    demo: Path, tmp_path: Path, model: str, token: str, sentence: str
) -> None:
    with hub(demo) as origin:
        environment = {
            "HF_ENDPOINT": origin.url, "HF_TOKEN": token,
            "NIM_CACHE_PATH": str(tmp_path / "cache"), "HOME": str(tmp_path),
        }  # fmt: skip
        with Server(model, log=tmp_path / "log", environment=environment) as server:
            assert server.wait_for_exit(within_s=20) == 4, server.log
    assert sentence in cause(server)
    assert not token or token not in server.log


def test_probes_tell_how_far_a_download_is(demo: Path, tmp_path: Path) -> None:
    with hub(demo) as origin:
        origin.faults.slow_s = 0.2
        environment = {
            "HF_ENDPOINT": origin.url,
            "NIM_CACHE_PATH": str(tmp_path / "cache"), "HOME": str(tmp_path),
        }  # fmt: skip
        with Server("hf://org/demo", log=tmp_path / "log", environment=environment) as server:
            wait_until(lambda: advanced(server), within_s=30, what="some bytes came")
            progress = server.get("/v1/health/ready").json()["progress"]
            assert progress["bytes_total"] >= sum(file.stat().st_size for file in demo.iterdir())
            assert '"ready"' not in server.get("/v1/health/ready").text
            server.signal(signal.SIGTERM)
            assert server.wait_for_exit(within_s=5) == 0


def advanced(server: Server) -> bool:
    percent: int = server.get("/v1/health/ready").json().get("progress", {}).get("percent", 0)
    return 0 < percent < 100


def test_credentials_that_end_while_serving_are_seen(demo: Path, tmp_path: Path) -> None:
    with hub(demo) as origin:
        origin.faults.slow_s = 0.5
        environment = {
            "HF_ENDPOINT": origin.url, "HF_TOKEN": TOKEN,
            "UNIGATE_CREDENTIAL_CHECK_INTERVAL_S": "0.2",
            "NIM_CACHE_PATH": str(tmp_path / "cache"), "HOME": str(tmp_path),
        }  # fmt: skip
        with Server("hf://org/private", log=tmp_path / "log", environment=environment) as server:
            wait_until(
                lambda: "\nunigate_credential_valid 1.0\n" in server.get("/v1/metrics").text,
                within_s=20,
                what="the token is accepted",
            )
            origin.revoked = True
            wait_until(
                lambda: "\nunigate_credential_valid 0.0\n" in server.get("/v1/metrics").text,
                within_s=20,
                what="the token is refused",
            )
            assert "credentials.refused status=refused" in server.log
            assert TOKEN not in server.log
            server.signal(signal.SIGTERM)
            assert server.wait_for_exit(within_s=5) == 0
