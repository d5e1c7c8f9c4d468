"""Whether it fits, what decides, and what would make it fit."""

import time
from typing import Any

import pytest

from profiles.memory import EngineOptions, Estimate, Fit, LoraOptions, estimate, read_model
from profiles.memory.stages import stage_bounds
from tests.unit.profiles.memory.configs import (
    DEEPSEEK_V3,
    KNOWN,
    LLAMA_8B,
    LLAMA_70B,
    MAVERICK,
    QWEN3_NEXT,
    Config,
)
from tests.unit.profiles.memory.observations import GIB


def _estimate(config: Config, gib: float = 79.2, **options: Any) -> Estimate:
    return estimate(read_model(config), EngineOptions(gpu_memory_bytes=int(gib * GIB), **options))


@pytest.mark.parametrize(
    ("config", "gib", "options", "fits"),
    [
        pytest.param(LLAMA_8B, 79.2, {}, Fit.RUNNABLE, id="8B-on-80"),
        pytest.param(LLAMA_8B, 22.0, {}, Fit.LOW_MEMORY, id="8B-on-24"),
        pytest.param(LLAMA_8B, 22.0, {"max_model_len": 8192}, Fit.RUNNABLE, id="8B-on-24-shorter"),
        pytest.param(LLAMA_8B, 14.6, {}, Fit.INCOMPATIBLE, id="8B-on-16"),
        pytest.param(LLAMA_8B, 14.6, {"quantization": "fp8"}, Fit.LOW_MEMORY, id="8B-fp8-on-16"),
        pytest.param(LLAMA_70B, 39.4, {}, Fit.INCOMPATIBLE, id="70B-on-40"),
        pytest.param(LLAMA_70B, 39.4, {"tensor_parallel_size": 2}, Fit.INCOMPATIBLE, id="tp2"),
        pytest.param(LLAMA_70B, 39.4, {"tensor_parallel_size": 8}, Fit.RUNNABLE, id="tp8"),
        pytest.param(LLAMA_70B, 39.4, {"pipeline_parallel_size": 8}, Fit.RUNNABLE, id="pp8"),
        pytest.param(DEEPSEEK_V3, 79.2, {"tensor_parallel_size": 8}, Fit.INCOMPATIBLE, id="R1"),
        pytest.param(
            {**DEEPSEEK_V3, "quantization_config": {"quant_method": "fp8"}}, 139.8,
            {"tensor_parallel_size": 8}, Fit.RUNNABLE, id="R1-on-8-H200",
        ),
        pytest.param(KNOWN["bert-base"][0], 14.6, {}, Fit.RUNNABLE, id="an-encoder"),
    ],
)  # fmt: skip
def test_tiers(config: Config, gib: float, options: dict[str, Any], fits: Fit) -> None:
    assert _estimate(config, gib, **options).fits is fits


def test_low_memory_names_a_length_that_runs() -> None:
    reduced = _estimate(LLAMA_8B, 22.0)
    assert 0 < reduced.longest_model_len < 131072
    assert reduced.longest_model_len % 16 == 0
    again = _estimate(LLAMA_8B, 22.0, max_model_len=reduced.longest_model_len)
    assert again.fits is Fit.RUNNABLE
    longer = _estimate(LLAMA_8B, 22.0, max_model_len=reduced.longest_model_len + 512)
    assert longer.fits is Fit.LOW_MEMORY


@pytest.mark.parametrize("config", [LLAMA_8B, QWEN3_NEXT, MAVERICK], ids=["full", "gdn", "chunks"])
def test_what_is_required_is_enough_and_no_more(config: Config) -> None:
    options: dict[str, Any] = {
        "tensor_parallel_size": 2, "max_num_seqs": 64, "max_num_batched_tokens": 2048
    }  # fmt: skip
    required = _estimate(config, 900, **options).required_bytes / GIB
    assert _estimate(config, required + 0.01, **options).fits is Fit.RUNNABLE
    assert _estimate(config, required - 0.1, **options).fits is not Fit.RUNNABLE


def test_what_is_reduced_needs_less() -> None:
    found = _estimate(LLAMA_8B, 22.0)
    assert found.reduced_bytes is not None
    assert found.reduced_bytes <= 22.0 * GIB < found.required_bytes


def test_what_does_not_fit_at_all_has_no_reduced_figure() -> None:
    found = _estimate(LLAMA_70B, 39.4)
    assert (found.longest_model_len, found.reduced_bytes, found.kv_cache_tokens) == (0, None, 0)
    assert found.kv_cache_bytes < 0
    assert found.required_bytes > 130 * GIB


@pytest.mark.parametrize("options", [{}, {"tensor_parallel_size": 4}, {"enforce_eager": True}])
def test_the_terms_add_up(options: dict[str, Any]) -> None:
    found = _estimate(LLAMA_8B, **options)
    budget = int(int(79.2 * GIB) * 0.92)
    assert found.weights_bytes + found.overhead_bytes + found.kv_cache_bytes == budget
    assert sum(found.terms.values()) == found.weights_bytes + found.overhead_bytes


def test_a_cold_start_leaves_less_than_a_warm_one() -> None:
    """By about one embedding table: 0.98 GiB for Llama-3.1-8B."""
    found = _estimate(LLAMA_8B)
    assert found.kv_cache_bytes_warm - found.kv_cache_bytes == 128256 * 4096 * 2


def test_eager_takes_neither_graphs_nor_compilation() -> None:
    eager, usual = _estimate(LLAMA_8B, enforce_eager=True), _estimate(LLAMA_8B)
    assert eager.terms["cuda_graphs"] == eager.terms["cold_compilation"] == 0
    assert eager.kv_cache_bytes == eager.kv_cache_bytes_warm > usual.kv_cache_bytes_warm


@pytest.mark.parametrize(
    ("gib", "capability", "seqs"),
    [(79.2, None, 1024), (79.2, (8, 0), 256), (44.4, (8, 9), 256), (180.0, (10, 0), 1024)],
)
def test_the_defaults_follow_the_gpu(
    gib: float, capability: tuple[int, int] | None, seqs: int
) -> None:
    """vLLM 0.32: the sampler keeps 4.125 bytes of each sequence and token of the vocabulary."""
    found = _estimate(LLAMA_8B, gib, compute_capability=capability)
    assert found.terms["sampler_state"] == int(seqs * 128256 * 4.125)


def test_an_embedding_model_does_not_sample() -> None:
    found = _estimate(KNOWN["bert-base"][0])
    assert found.terms["sampler_state"] == 0


def test_a_second_rank_costs_communication() -> None:
    assert _estimate(LLAMA_8B).terms["communication"] == 0
    assert _estimate(LLAMA_8B, tensor_parallel_size=2).terms["communication"] > 0


def test_lora_slots_are_part_of_the_load() -> None:
    """Rows 75 and 78: 63 slots more took 4.86 GiB on Qwen3-4B."""
    qwen = {
        **LLAMA_8B, "hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36,
        "head_dim": 128, "vocab_size": 151936, "tie_word_embeddings": True,
    }  # fmt: skip
    one, many = (
        _estimate(qwen, 23.5, lora=LoraOptions(slots=slots)).weights_bytes for slots in (1, 64)
    )
    assert (many - one) / GIB == pytest.approx(4.86, rel=0.1)


@pytest.mark.parametrize(
    ("layers", "stages", "sizes"),
    [
        (32, 4, [8, 8, 8, 8]),
        (61, 4, [15, 15, 16, 15]),
        (62, 4, [15, 16, 16, 15]),
        (63, 4, [16, 16, 16, 15]),
        (33, 2, [17, 16]),
        (2, 4, [0, 1, 1, 0]),
    ],
)
def test_layers_are_divided_as_vllm_divides_them(
    layers: int, stages: int, sizes: list[int]
) -> None:
    assert [end - start for start, end in stage_bounds(layers, stages)] == sizes


def test_the_fullest_stage_decides() -> None:
    """The last one has the head and samples; the first has the embeddings only."""
    found = _estimate(LLAMA_8B, pipeline_parallel_size=2)
    half = 32 // 2 * (4096 * 4096 * 2 + 4096 * 1024 * 2 + 3 * 4096 * 14336) * 2
    assert found.terms["weights"] == pytest.approx(half, rel=0.001)
    assert found.terms["embeddings"] == 128256 * 4096 * 2
    assert found.terms["sampler_state"] > 0


def test_a_tied_table_is_on_the_first_and_the_last_stage() -> None:
    tied = {**LLAMA_8B, "tie_word_embeddings": True}
    found = _estimate(tied, pipeline_parallel_size=2)
    assert found.terms["sampler_state"] > 0  # the last stage decides
    assert found.terms["embeddings"] == 128256 * 4096 * 2


def test_more_stages_than_layers_is_no_crash() -> None:
    assert _estimate(LLAMA_8B, pipeline_parallel_size=40).fits is Fit.RUNNABLE


@pytest.mark.parametrize(
    "wrong",
    [
        {"gpu_memory_bytes": 0},
        {"gpu_memory_bytes": 1, "tensor_parallel_size": 0},
        {"gpu_memory_bytes": 1, "gpu_memory_utilization": 0.0},
        {"gpu_memory_bytes": 1, "gpu_memory_utilization": 1.5},
    ],
)
def test_options_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="positive"):
        EngineOptions(**wrong)


def test_hundreds_of_profiles_can_be_judged_while_listing() -> None:
    facts = read_model(DEEPSEEK_V3)
    options = EngineOptions(gpu_memory_bytes=80 * GIB, tensor_parallel_size=8)
    durations_s = []
    for _ in range(20):
        start_s = time.perf_counter()
        estimate(facts, options)
        durations_s.append(time.perf_counter() - start_s)
    assert min(durations_s) < 0.005
