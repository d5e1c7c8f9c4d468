"""Weights from the headers of safetensors files."""

import json
import struct
from pathlib import Path

import pytest

from profiles.errors import ModelNotAvailableError
from profiles.memory import EngineOptions, Tensor, estimate, read_model, read_model_directory
from tests.unit.profiles.memory.configs import DEEPSEEK_V3, LLAMA_8B, Config
from tests.unit.profiles.memory.observations import GIB

_DEMO = Path(__file__).parents[4] / "deploy" / "demo" / "unigate-demo"
_CONFIG: Config = {
    **LLAMA_8B, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 64,
}  # fmt: skip
_PARTS = {
    "model.embed_tokens.weight": (64, 64),
    "lm_head.weight": (64, 64),
    "model.norm.weight": (64,),
    "model.layers.0.input_layernorm.weight": (64,),
    "model.layers.0.post_attention_layernorm.weight": (64,),
    "model.layers.0.self_attn.q_proj.weight": (64, 64),
    "model.layers.0.self_attn.k_proj.weight": (32, 64),
    "model.layers.0.self_attn.v_proj.weight": (32, 64),
    "model.layers.0.self_attn.o_proj.weight": (64, 64),
    "model.layers.0.mlp.gate_proj.weight": (128, 64),
    "model.layers.0.mlp.up_proj.weight": (128, 64),
    "model.layers.0.mlp.down_proj.weight": (64, 128),
}
_NORMS_BYTES = 3 * 64 * 2


def _tensors(parts: dict[str, tuple[int, ...]], type_: str = "BF16") -> tuple[Tensor, ...]:
    return tuple(Tensor(name, type_, shape) for name, shape in parts.items())


def _weights(config: Config, tensors: tuple[Tensor, ...], ranks: int = 1) -> int:
    options = EngineOptions(gpu_memory_bytes=80 * GIB, tensor_parallel_size=ranks)
    found = estimate(read_model(config, tensors=tensors), options)
    return found.weights_bytes - found.terms["rotary_cache"]


def _write(path: Path, header: object) -> None:
    data = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(data)) + data)


def test_the_built_in_model_is_weighed_exactly() -> None:
    facts = read_model_directory(_DEMO)
    file = _DEMO / "model.safetensors"
    (header_bytes,) = struct.unpack("<Q", file.read_bytes()[:8])
    assert facts.weights.total_bytes == file.stat().st_size - header_bytes - 8
    assert facts.parameters == 1_949_760
    assert not facts.is_guess


def test_headers_and_config_agree() -> None:
    assert _weights(_CONFIG, _tensors(_PARTS)) == pytest.approx(
        read_model(_CONFIG).weights.total_bytes, rel=1e-6
    )


def test_ranks_share_matrices_and_copy_norms() -> None:
    whole, half = _weights(_CONFIG, _tensors(_PARTS)), _weights(_CONFIG, _tensors(_PARTS), 2)
    assert half == (whole + _NORMS_BYTES) // 2


def test_keys_and_values_are_copied_beyond_their_heads() -> None:
    two, four = _weights(_CONFIG, _tensors(_PARTS), 2), _weights(_CONFIG, _tensors(_PARTS), 4)
    keys_and_values = 2 * 32 * 64 * 2 // 2  # of one head
    copied = _NORMS_BYTES + keys_and_values
    assert four == (two - copied) // 2 + copied


def test_a_fused_projection_is_divided_the_same() -> None:
    fused = {
        name: shape
        for name, shape in _PARTS.items()
        if "q_proj" not in name and "k_proj" not in name and "v_proj" not in name
    }
    fused["model.layers.0.self_attn.qkv_proj.weight"] = (128, 64)
    for ranks in (1, 2, 4):
        assert _weights(_CONFIG, _tensors(fused), ranks) == _weights(
            _CONFIG, _tensors(_PARTS), ranks
        )


def test_a_head_that_is_tied_is_not_loaded() -> None:
    tied = {**_CONFIG, "tie_word_embeddings": True}
    assert _weights(tied, _tensors(_PARTS)) == _weights(_CONFIG, _tensors(_PARTS)) - 64 * 64 * 2


@pytest.mark.parametrize(
    "name", ["mtp.layers.0.mlp.up_proj.weight", "model.layers.1.mlp.up_proj.weight"]
)
def test_mtp_layers_are_not_loaded(name: str) -> None:
    more = {**_PARTS, name: (128, 64)}
    assert _weights(_CONFIG, _tensors(more)) == _weights(_CONFIG, _tensors(_PARTS))


def test_float32_is_loaded_in_16_bits() -> None:
    assert _weights(_CONFIG, _tensors(_PARTS, "F32")) == _weights(_CONFIG, _tensors(_PARTS))


def test_packed_integers_keep_their_size_and_scales_theirs() -> None:
    packed = (
        Tensor("model.layers.0.mlp.up_proj.qweight", "I32", (8, 128)),
        Tensor("model.layers.0.mlp.up_proj.scales", "F16", (1, 128)),
        Tensor("model.layers.0.mlp.up_proj.qzeros", "I32", (1, 16)),
    )
    config = {**_CONFIG, "quantization_config": {"quant_method": "awq", "bits": 4}}
    assert _weights(config, packed) == 8 * 128 * 4 + 128 * 2 + 16 * 4
    assert read_model(config, tensors=packed).parameters == 8 * 128 * 8


@pytest.mark.parametrize(
    ("name", "copies"),
    [
        ("model.layers.0.mlp.gate.weight", 8),
        ("model.layers.0.self_attn.kv_a_proj_with_mqa.weight", 8),
        ("model.layers.0.self_attn.kv_b_proj.weight", 1),
        ("model.layers.0.mlp.experts.3.gate_proj.weight", 1),
        ("model.layers.0.mlp.shared_experts.up_proj.weight", 1),
        ("model.layers.0.mystery.weight", 8),
    ],
)
def test_what_every_rank_has(name: str, copies: int) -> None:
    facts = read_model(DEEPSEEK_V3, tensors=(Tensor(name, "BF16", (8000, 100)),))
    options = EngineOptions(gpu_memory_bytes=80 * GIB, tensor_parallel_size=8)
    terms = estimate(facts, options).terms
    assert terms["weights"] + terms["experts"] == 8000 * 100 * 2 * copies // 8


@pytest.mark.parametrize(("kind", "copies"), [("pixtral", 8), ("siglip_vision_model", 1)])
def test_some_towers_are_copied(kind: str, copies: int) -> None:
    config = {"text_config": LLAMA_8B, "vision_config": {"model_type": kind, "hidden_size": 64}}
    facts = read_model(config, tensors=(Tensor("vision_tower.w", "BF16", (8000, 100)),))
    options = EngineOptions(gpu_memory_bytes=80 * GIB, tensor_parallel_size=8)
    assert estimate(facts, options).terms["towers"] == 8000 * 100 * 2 * copies // 8


def test_an_index_without_its_files_gives_the_size(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_8B))
    index = {"metadata": {"total_size": 16_100_000_000}, "weight_map": {"a": "1.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    facts = read_model_directory(tmp_path)
    assert facts.weights.total_bytes == pytest.approx(16_100_000_000, rel=1e-6)


def test_a_config_alone_will_do(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_8B))
    assert read_model_directory(tmp_path).parameters == read_model(LLAMA_8B).parameters


def test_modelopt_has_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_8B))
    quantization = {"quantization": {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"}}
    (tmp_path / "hf_quant_config.json").write_text(json.dumps(quantization))
    facts = read_model_directory(tmp_path)
    assert facts.precision == "nvfp4"
    assert facts.scheme.has_fp8_cache


@pytest.mark.parametrize(
    "content", [b"", b"12345678", struct.pack("<Q", 1 << 40), struct.pack("<Q", 2) + b"[]"]
)
def test_a_broken_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_8B))
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelNotAvailableError, match=r"model\.safetensors"):
        read_model_directory(tmp_path)


@pytest.mark.parametrize("entry", [3, {}, {"dtype": "BF16"}, {"dtype": "BF16", "shape": "x"}])
def test_a_broken_entry_is_named(tmp_path: Path, entry: object) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_8B))
    _write(tmp_path / "model.safetensors", {"w": entry})
    with pytest.raises(ModelNotAvailableError, match=r"broken header"):
        read_model_directory(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", "7"])
def test_a_broken_config_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ModelNotAvailableError, match=r"config\.json"):
        read_model_directory(tmp_path)


def test_no_config_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelNotAvailableError, match=r"has no config\.json"):
        read_model_directory(tmp_path)
