"""How many bits, from configs and from words."""

from typing import Any

import pytest

from profiles.memory import EngineOptions, estimate, read_model
from profiles.memory.quantization import scheme_of_words
from tests.unit.profiles.memory.configs import DEEPSEEK_V3, KNOWN, LLAMA_8B, LLAMA_70B, Config
from tests.unit.profiles.memory.observations import GIB

_MIXTRAL = KNOWN["mixtral-8x7b"][0]


def _group(**weights: Any) -> Config:
    return {
        "quant_method": "compressed-tensors",
        "config_groups": {"group_0": {"weights": weights}},
    }


def _gib(config: Config, quantization: str | None = None, ranks: int = 1) -> float:
    options = EngineOptions(
        gpu_memory_bytes=80 * GIB, tensor_parallel_size=ranks, quantization=quantization
    )
    return estimate(read_model(config), options).weights_bytes / GIB


@pytest.mark.parametrize(
    ("words", "word", "method"),
    [
        ("awq", "int4", "awq"),
        ("AWQ 4bit g128", "int4", "awq"),
        ("gptq", "int4", "gptq"),
        ("compressed-tensors INT4", "int4", "compressed-tensors"),
        ("W4A16", "int4", "compressed-tensors"),
        ("fp8", "fp8", "fp8"),
        ("fp8 block 128x128", "fp8", "fp8"),
        ("compressed-tensors FP8", "fp8", "compressed-tensors"),
        ("modelopt", "fp8", "fp8"),
        ("modelopt NVFP4 (of somebody)", "nvfp4", "modelopt_fp4"),
        ("nvfp4", "nvfp4", "compressed-tensors"),
        ("mxfp4", "mxfp4", "mxfp4"),
        ("mxfp8", "fp8", "fp8"),
        ("int8", "int8", "compressed-tensors"),
        ("w8a8", "int8", "compressed-tensors"),
        ("W8A8-FP8", "fp8", "fp8"),
        ("bitsandbytes", "int4", "bitsandbytes"),
        ("bitsandbytes 8bit", "int8", "bitsandbytes"),
        ("Q4_K_M gguf", "int4", "gguf"),
        ("none", "bf16", None),
    ],
)
def test_words_are_understood_generously(words: str, word: str, method: str | None) -> None:
    scheme = scheme_of_words(words)
    assert scheme is not None
    assert scheme.word == word
    if words != "modelopt":
        assert scheme.method == method


@pytest.mark.parametrize("words", ["", "fast", "v2", "deepseek"])
def test_words_that_say_nothing_change_nothing(words: str) -> None:
    assert scheme_of_words(words) is None
    assert _gib(LLAMA_8B, words) == _gib(LLAMA_8B)


@pytest.mark.parametrize(
    ("section", "word", "gib"),
    [
        pytest.param({"quant_method": "awq", "bits": 4, "group_size": 128}, "int4", 5.35, id="awq"),
        pytest.param(
            {"quant_method": "gptq", "bits": 8, "group_size": -1}, "int8", 8.48, id="gptq-8"
        ),
        pytest.param({"quant_method": "gptq", "bits": "4"}, "int4", 5.33, id="bits-as-text"),
        pytest.param(
            {"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8", 8.49, id="fp8"
        ),
        pytest.param(_group(num_bits=8, type="float"), "fp8", 8.49, id="compressed-fp8"),
        pytest.param(_group(num_bits=8, type="int"), "int8", 8.48, id="compressed-int8"),
        pytest.param(
            _group(num_bits=4, type="int", group_size=32, symmetric=False), "int4", 5.76, id="g32"
        ),
        pytest.param(_group(num_bits=4, type="float", group_size=16), "nvfp4", 5.64, id="nvfp4"),
        pytest.param(_group(num_bits=4, type="float", group_size=32), "mxfp4", 5.43, id="mxfp4"),
        pytest.param(
            {"quant_method": "modelopt", "quant_algo": "NVFP4"}, "nvfp4", 5.64, id="modelopt"
        ),
        pytest.param(
            {"quantization": {"quant_algo": "FP8"}, "producer": {"name": "modelopt"}},
            "fp8", 8.49, id="modelopt-in-a-file-of-its-own",
        ),
        pytest.param(
            {"quant_method": "bitsandbytes", "load_in_4bit": True}, "int4", 5.64, id="bnb"
        ),
        pytest.param(
            {"quant_method": "bitsandbytes", "load_in_8bit": True}, "int8", 8.48, id="bnb-8"
        ),
        pytest.param(
            {"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp8_e4m3"}}},
            "fp8", 8.49, id="quark",
        ),
        pytest.param(
            {"quant_method": "compressed-tensors", "scheme": "FP8 dynamic, lm_head bf16"},
            "fp8", 8.49, id="words-in-a-section",
        ),
        pytest.param("awq", "int4", 5.35, id="a-word-in-place-of-a-section"),
    ],
)  # fmt: skip
def test_a_checkpoint_says_how_it_is_quantized(section: Any, word: str, gib: float) -> None:
    """Llama-3.1-8B: 1.96 GiB of embeddings and head stay in 16 bits."""
    config = {**LLAMA_8B, "quantization_config": section}
    assert read_model(config).precision == word
    assert _gib(config) == pytest.approx(gib, rel=0.005)


@pytest.mark.parametrize(
    "ignored",
    [
        ["lm_head", "re:.*self_attn.*"],
        [f"model.layers.{layer}.self_attn*" for layer in range(32)],
        ["self_attn"],
        [f"model.layers.{layer}.self_attn.o_proj" for layer in range(32)],
    ],
    ids=["expression", "wildcards", "component", "every-layer"],
)
def test_what_is_ignored_stays_in_16_bits(ignored: list[str]) -> None:
    section = {**_group(num_bits=8, type="float"), "ignore": ignored}
    attention_gib = 32 * 2 * 4096 * (4096 + 1024) / GIB
    assert _gib({**LLAMA_8B, "quantization_config": section}) == pytest.approx(
        8.49 + attention_gib, rel=0.005
    )


def test_a_broken_expression_ignores_nothing() -> None:
    section = {**_group(num_bits=8, type="float"), "ignore": ["re:(", 5, None]}
    assert _gib({**LLAMA_8B, "quantization_config": section}) == pytest.approx(8.49, rel=0.005)


def test_vllm_can_quantize_while_it_loads() -> None:
    """BF16 70B: 131.4 GiB; FP8: 67.7, which is what the measured FP8 checkpoint takes (row 69)."""
    assert _gib(LLAMA_70B) == pytest.approx(131.4, rel=0.002)
    assert _gib(LLAMA_70B, "fp8") == pytest.approx(67.72, rel=0.002)


def test_a_quantized_checkpoint_is_not_quantized_again() -> None:
    config = {**LLAMA_8B, "quantization_config": {"quant_method": "awq", "bits": 4}}
    assert _gib(config, "fp8") == _gib(config)


def test_a_word_settles_what_a_checkpoint_leaves_open() -> None:
    config = {**LLAMA_8B, "quantization_config": {"quant_method": "compressed-tensors"}}
    assert read_model(config).is_guess
    assert _gib(config, "compressed-tensors INT4") == pytest.approx(5.33, rel=0.005)


def test_experts_alone_can_be_quantized() -> None:
    section = {"quant_method": "compressed-tensors", "scheme": "INT4 on routed experts"}
    facts = read_model({**DEEPSEEK_V3, "quantization_config": section})
    assert facts.weights.total_bytes / GIB == pytest.approx(347, rel=0.02)


def test_mxfp4_kernels_pad_experts() -> None:
    """gpt-oss: 2880 becomes 2944 by 3072, and 768 of 720 at TP4."""
    config = {
        **_MIXTRAL, "hidden_size": 2880, "intermediate_size": 2880,
        "quantization_config": {"quant_method": "mxfp4"},
    }  # fmt: skip
    terms = [
        estimate(
            read_model(config), EngineOptions(gpu_memory_bytes=80 * GIB, tensor_parallel_size=ranks)
        ).terms["experts"]
        for ranks in (1, 4)
    ]
    raw = 32 * 8 * 3 * 2880 * 2880 * 4.25 / 8
    assert terms[0] == pytest.approx(raw * 2944 / 2880 * 3072 / 2880, rel=1e-4)
    assert terms[1] == pytest.approx(raw / 4 * 768 / 720 * 3072 / 2880, rel=1e-4)
