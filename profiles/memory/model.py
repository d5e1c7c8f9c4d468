"""What the planner knows of a model: its architecture and its weights."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from profiles.errors import ModelNotAvailableError
from profiles.memory.architecture import Architecture, read_architecture
from profiles.memory.blocks import Weights
from profiles.memory.checkpoint import weigh_tensors
from profiles.memory.fields import Fields, text_fields
from profiles.memory.mistral import in_usual_words
from profiles.memory.quantization import Scheme, scheme_of_config
from profiles.memory.tensors import Tensors, read_tensors
from profiles.memory.towers import Tower, read_tower
from profiles.memory.weights import count_weights

# vLLM turns float32 checkpoints into 16 bits unless told otherwise (config/model.py).
_DTYPE_BYTES = 2
_WORDS = {"float16": "fp16", "half": "fp16", "float32": "bf16"}
# A count that is this far off means that the config lacks something the model has.
_CREDIBLE = 0.10
_INDEX = "model.safetensors.index.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """One model. What was guessed is said in `doubts`."""

    model: Architecture
    weights: Weights
    scheme: Scheme
    tower: Tower
    parameters: int
    dtype_bytes: int
    doubts: tuple[str, ...]

    @property
    def architecture(self) -> str:
        """The name of the class that vLLM serves it with."""
        return self.model.name

    @property
    def model_type(self) -> str:
        """The family as transformers spells it."""
        return self.model.model_type

    @property
    def num_attention_heads(self) -> int:
        """Of the language model; tensor parallelism has to divide it."""
        return self.model.heads

    @property
    def num_key_value_heads(self) -> int:
        """Of the language model."""
        return self.model.kv_heads

    @property
    def num_hidden_layers(self) -> int:
        """Of the language model."""
        return len(self.model.layers)

    @property
    def max_model_len(self) -> int:
        """The longest sequence the model was made for, in tokens."""
        return self.model.max_model_len

    @property
    def precision(self) -> str:
        """As profiles spell it: bf16, fp16, fp8, int4, nvfp4, mxfp4, int8."""
        return self.scheme.word

    @property
    def quant_method(self) -> str | None:
        """As vLLM spells it; None for a checkpoint that is not quantized."""
        return self.scheme.method

    @property
    def is_moe(self) -> bool:
        """Whether it has experts."""
        return self.model.is_moe

    @property
    def is_guess(self) -> bool:
        """Whether the figures rest on something that had to be guessed."""
        return bool(self.doubts)


def read_model(
    config: Mapping[str, Any],
    *,
    tensors: Tensors | None = None,
    parameters: int | None = None,
    index_bytes: int | None = None,
) -> ModelFacts:
    """The facts in a config; exact with `tensors`, else as good as the config is.

    `index_bytes` is the total size in a checkpoint's index, `parameters` a published count.
    """
    config = in_usual_words(config)
    architecture = read_architecture(config, dtype_bytes=_DTYPE_BYTES)
    tower = read_tower(config, architecture.hidden)
    word = _WORDS.get(text_fields(config).text("torch_dtype", "dtype"), "bf16")
    scheme = scheme_of_config(config, layers=len(architecture.layers), unquantized=word)
    doubts = list(architecture.doubts)
    if tensors:
        weights = weigh_tensors(tensors, architecture, tower, scheme, dtype_bytes=_DTYPE_BYTES)
    else:
        weights = count_weights(architecture, tower, scheme, dtype_bytes=_DTYPE_BYTES)
        weights = _corrected(weights, architecture, parameters, index_bytes, doubts)
        if scheme.is_assumed:
            doubts.append(f"the config does not say how it is quantized, {scheme.word} is a guess")
    return ModelFacts(
        model=architecture,
        weights=weights,
        scheme=scheme,
        tower=tower,
        parameters=parameters or weights.total_elements,
        dtype_bytes=_DTYPE_BYTES,
        doubts=tuple(doubts),
    )


def _corrected(
    weights: Weights,
    architecture: Architecture,
    parameters: int | None,
    index_bytes: int | None,
    doubts: list[str],
) -> Weights:
    """The counted weights, corrected by what is known of their sum."""
    # Checkpoints hold the MTP layers too; each is about as large as the model's last layer.
    extra = architecture.next_token_layers / max(1, len(architecture.layers))
    if index_bytes:
        return weights.scaled(_factor(index_bytes, weights.total_bytes, extra))
    if not parameters:
        return weights
    factor = _factor(parameters, weights.total_elements, extra)
    if doubts or abs(factor - 1) > _CREDIBLE:
        return weights.scaled(factor)
    return weights


def _factor(known: float, counted: float, extra: float) -> float:
    """What to multiply with: with or without MTP layers, whatever explains more."""
    if counted <= 0:
        return 1.0
    factors = (known / counted, known / (counted * (1 + extra)))
    return min(factors, key=lambda factor: abs(factor - 1))


def read_model_directory(directory: Path) -> ModelFacts:
    """The facts in a model's directory: its config, and the headers of its weights or its index.

    Raises:
        ModelNotAvailableError: a file is missing or broken; the message names it.
    """
    config = _read_object(directory / "config.json")
    extra = directory / "hf_quant_config.json"  # ModelOpt's
    if extra.exists() and not config.get("quantization_config"):
        config = {
            **config,
            "quantization_config": {"quant_method": "modelopt", **_read_object(extra)},
        }
    index = _read_object(directory / _INDEX) if (directory / _INDEX).exists() else {}
    files = _weight_files(directory, index)
    if files:
        return read_model(config, tensors=read_tensors(files))
    size = Fields(index).mapping("metadata")
    return read_model(config, index_bytes=Fields(size).integer("total_size") or None)


def _weight_files(directory: Path, index: Mapping[str, Any]) -> list[Path]:
    """The safetensors files, all of them or none."""
    shards = Fields(index).mapping("weight_map")
    if not shards:
        # Mistral repositories carry a second copy of the weights under this name.
        copies = ("consolidated",)
        return [
            path
            for path in sorted(directory.glob("*.safetensors"))
            if not path.name.startswith(copies)
        ] or sorted(directory.glob("*.safetensors"))
    files = sorted({directory / str(shard) for shard in shards.values()})
    return files if all(path.exists() for path in files) else []


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelNotAvailableError(
            f"{path.parent} has no {path.name}: it is not a model's directory"
        ) from None
    except OSError as error:
        raise ModelNotAvailableError(f"{path} cannot be read: {error}") from None
    except ValueError as error:
        raise ModelNotAvailableError(
            f"{path} is not valid JSON ({error}): fetch it again"
        ) from None
    if not isinstance(value, dict):
        raise ModelNotAvailableError(f"{path} is not a JSON object: fetch it again")
    return value
