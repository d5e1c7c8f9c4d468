"""`unigate profiles estimate` as users meet it."""

import json
from pathlib import Path

import pytest

from tests.support.program import run

CONFIGS = Path(__file__).parents[1] / "data" / "configs"


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
