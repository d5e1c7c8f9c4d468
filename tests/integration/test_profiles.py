"""Profiles as users meet them: the verbs, the choice at the start, what the probes tell."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.hub import TOKEN, hub
from tests.support.nvml import MACHINES, environment_for
from tests.support.program import BIN, run
from tests.support.server import Server

CONFIGS = Path(__file__).parents[1] / "data" / "configs"


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


def test_seventy_billion_on_eight_gpus(llama_70b: Path) -> None:
    result = run("unigate", "profiles", "explain", "--json", str(llama_70b), machine="8xH100")
    answer = json.loads(result.stdout)
    assert answer["name"].startswith("vllm-h100-fp8-tp8-pp1")
    assert answer["gpus"] == list(range(8))
    assert answer["rejected"]
    assert all(entry["reason"] for entry in answer["rejected"])


def test_a_model_that_does_not_fit_ends_the_start_with_the_ways_out(
    llama_70b: Path, tmp_path: Path
) -> None:
    environment = environment_for(MACHINES["1xA100-40"])
    with Server(str(llama_70b), log=tmp_path / "log", environment=environment) as server:
        assert server.wait_for_exit(within_s=15) == 3, server.log
    assert "NO_PROFILE" in server.cause
    assert "NVIDIA A100" in server.cause
    assert "Traceback" not in server.log


def test_an_unexpected_profile_ends_the_start(llama_70b: Path, tmp_path: Path) -> None:
    environment = {
        **environment_for(MACHINES["8xH100-one-busy"]),
        "UNIGATE_EXPECT_PROFILE": "vllm-h100-fp8-tp8-pp1-latency",
    }
    with Server(str(llama_70b), log=tmp_path / "log", environment=environment) as server:
        assert server.wait_for_exit(within_s=15) == 3, server.log
    for word in ("UNIGATE_EXPECT_PROFILE", "tp8", "tp4"):
        assert word in server.cause


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
    assert rows["gpus"].count("NVIDIA H100") == 8
    assert rows["--tensor-parallel-size"] == "8  [profile vllm-h100-fp8-tp8-pp1-latency]"
    assert rows["--max-num-seqs"] == "7  [command line]"
    assert TOKEN not in result.stdout


def test_a_dry_run_shows_the_parsers_of_a_directory_and_who_chose_them(demo: Path) -> None:
    result = run("unigate", "serve", str(demo), "--dry-run")
    assert result.returncode == 0, result.stderr
    shown = [line.split() for line in result.stdout.splitlines()]
    assert ["--tool-call-parser", "hermes", "[chat", "template]"] in shown
    assert ["--reasoning-parser", "deepseek_v3", "[chat", "template]"] in shown
    own = ["--reasoning-parser", "qwen3", "--no-enable-auto-tool-choice"]
    result = run("unigate", "serve", str(demo), *own, "--dry-run")
    shown = [line.split() for line in result.stdout.splitlines()]
    assert ["--reasoning-parser", "qwen3", "[command", "line]"] in shown
    assert ["--no-enable-auto-tool-choice", "on", "[command", "line]"] in shown


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
