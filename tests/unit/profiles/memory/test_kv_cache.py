"""The KV cache's layout, against figures measured on real servers and vLLM's own arithmetic."""

import pytest

from profiles.memory import EngineOptions, Estimate, estimate, read_model
from profiles.memory.kv_cache import plan_cache
from tests.unit.profiles.memory.configs import (
    DEEPSEEK_V3,
    EXAONE_4,
    GEMMA_3_1B,
    KNOWN,
    LLAMA_8B,
    MAVERICK,
    QWEN3_NEXT,
    Config,
)
from tests.unit.profiles.memory.observations import GIB, configs

_QWEN3_235B: Config = {
    "model_type": "qwen3_moe", "hidden_size": 4096, "num_hidden_layers": 94,
    "num_attention_heads": 64, "num_key_value_heads": 4, "head_dim": 128, "num_experts": 128,
    "moe_intermediate_size": 1536, "num_experts_per_tok": 8, "vocab_size": 151936,
}  # fmt: skip
_V32: Config = {**DEEPSEEK_V3, "index_topk": 2048, "index_n_heads": 64, "index_head_dim": 128}
_FP8_CACHE = {"quant_method": "fp8", "kv_cache_scheme": {"num_bits": 8, "type": "float"}}


def _estimate(config: Config, *, ranks: int = 1, dtype: str = "auto") -> Estimate:
    options = EngineOptions(
        gpu_memory_bytes=4000 * GIB, tensor_parallel_size=ranks, kv_cache_dtype=dtype
    )
    return estimate(read_model(config), options)


@pytest.mark.parametrize(
    ("config", "ranks", "dtype", "per_token"),
    [
        pytest.param(LLAMA_8B, 1, "auto", 131_072, id="GQA"),
        pytest.param(LLAMA_8B, 4, "auto", 32_768, id="GQA-tp4"),
        pytest.param(LLAMA_8B, 1, "fp8", 65_536, id="GQA-fp8"),
        pytest.param(LLAMA_8B, 1, "fp8_e4m3", 65_536, id="GQA-fp8-by-its-other-name"),
        pytest.param(LLAMA_8B, 1, "something new", 131_072, id="an-unknown-type-is-16-bits"),
        pytest.param(_QWEN3_235B, 4, "auto", 48_128, id="four-KV-heads-tp4"),
        pytest.param(_QWEN3_235B, 8, "auto", 48_128, id="heads-are-duplicated-beyond-their-number"),
        pytest.param(
            {**LLAMA_8B, "num_key_value_heads": 32}, 1, "auto", 524_288, id="MHA"
        ),
        pytest.param(KNOWN["falcon-7b"][0], 8, "auto", 8_192, id="MQA-tp8"),
        pytest.param(DEEPSEEK_V3, 1, "auto", 70_272, id="MLA"),
        pytest.param(DEEPSEEK_V3, 8, "auto", 70_272, id="MLA-is-whole-on-every-rank"),
        pytest.param(_V32, 8, "auto", 78_324, id="MLA-with-indexer"),
        pytest.param(_V32, 8, "fp8", 43_188, id="MLA-with-indexer-fp8"),
        pytest.param(configs()["openai/gpt-oss-120b"], 4, "auto", 18_432, id="gpt-oss-tp4"),
        pytest.param(
            configs()["google/gemma-3-27b-it"], 1, "auto", 573_440, id="gemma-7-groups-of-10"
        ),
        pytest.param(GEMMA_3_1B, 1, "auto", 7 * 4 * 1024, id="gemma-1b-7-groups-of-4"),
        pytest.param(EXAONE_4, 1, "auto", 64 * 4096, id="exaone-4-groups-of-16"),
        pytest.param(
            configs()["Qwen/Qwen3.8-27B-FP8"], 2, "fp8_e4m3", 16_384, id="only-attention-counts"
        ),
        pytest.param(KNOWN["bert-base"][0], 1, "auto", 0, id="an-encoder-has-none"),
        pytest.param(KNOWN["mamba-2.8b"][0], 1, "auto", 0, id="a-state-has-no-tokens"),
        pytest.param(
            {**LLAMA_8B, "quantization_config": _FP8_CACHE}, 1, "auto", 65_536,
            id="the-checkpoint-asks-for-fp8",
        ),
        pytest.param(
            {**LLAMA_8B, "quantization_config": _FP8_CACHE}, 1, "bfloat16", 131_072,
            id="but-is-overruled",
        ),
    ],
)  # fmt: skip
def test_bytes_per_token(config: Config, ranks: int, dtype: str, per_token: int) -> None:
    assert _estimate(config, ranks=ranks, dtype=dtype).kv_bytes_per_token == per_token


# What vLLM 0.32's get_kv_cache_capacity answers for 50 GiB: groups, and tokens at two lengths with
# (4096, 131072) tokens of which (4096, 16384) are in flight.
@pytest.mark.parametrize(
    ("config", "ranks", "short", "long"),
    [
        pytest.param(LLAMA_8B, 2, 819_200, 819_200, id="full"),
        pytest.param(
            configs()["openai/gpt-oss-120b"], 2, 1_453_513, 2_586_544, id="every-second-slides"
        ),
        pytest.param(GEMMA_3_1B, 2, 1_866_208, 7_387_792, id="five-of-six-slide"),
        pytest.param(EXAONE_4, 2, 408_403, 1_115_228, id="three-of-four-slide"),
        pytest.param(
            configs()["microsoft/Phi-3-mini-4k-instruct"], 2, 271_993, 1_940_047, id="all-slide"
        ),
        pytest.param(QWEN3_NEXT, 2, 2_349_641, 4_261_697, id="gated-delta-net"),
        pytest.param(
            configs()["cyankiwi/gemma-4-26B-A4B-it-qat-AWQ-INT4"], 2, 474_938, 2_250_795,
            id="pages-of-two-sizes",
        ),
        pytest.param(
            configs()["moonshotai/Kimi-K2-Thinking"], 2, 763_968, 763_968, id="latent"
        ),
    ],
)  # fmt: skip
def test_tokens_are_counted_as_vllm_counts(
    config: Config, ranks: int, short: int, long: int
) -> None:
    layout = plan_cache(read_model(config).model.layers, ranks=ranks, number_bytes=2, dtype_bytes=2)
    blocks = 50 * GIB // layout.block_bytes

    def tokens(length: int, in_flight: int) -> int:
        needed = layout.blocks_of_request(length, tokens_in_flight=in_flight)
        return int(blocks / needed * length)

    assert (tokens(4096, 4096), tokens(131072, 16384)) == (short, long)


def test_a_chunk_takes_no_more_than_itself() -> None:
    """Llama 4: three of four layers forget what is before their chunk of 8192 tokens."""
    found = _estimate(MAVERICK)
    assert found.kv_cache_tokens > 2 * (found.kv_cache_bytes / found.kv_bytes_per_token)


def test_a_block_grows_until_a_state_fits() -> None:
    """vLLM's log for Qwen3-Next at TP2 speaks of 544 tokens."""
    layers = read_model(QWEN3_NEXT).model.layers
    assert plan_cache(layers, ranks=2, number_bytes=2, dtype_bytes=2).block_tokens == 544


def test_nearly_equal_numbers_of_layers_are_padded_to_the_larger() -> None:
    """vLLM's own example: 12 sliding and 13 full layers make two groups of 13."""
    kinds = [*["sliding_attention"] * 12, *["full_attention"] * 13]
    config = {**LLAMA_8B, "num_hidden_layers": 25, "layer_types": kinds, "sliding_window": 128}
    assert _estimate(config).kv_bytes_per_token == 26 * 4096


def test_one_block_is_never_given_out() -> None:
    layout = plan_cache(read_model(LLAMA_8B).model.layers, ranks=1, number_bytes=2, dtype_bytes=2)
    assert layout.bytes_of_request(17, tokens_in_flight=0) == (2 + 1) * 16 * 131_072
