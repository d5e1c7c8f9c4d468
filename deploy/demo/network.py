"""The Llama network in plain torch, small enough to train on two CPU cores."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The sizes, by the names of Llama's config.json."""

    vocab_size: int
    hidden_size: int = 192
    intermediate_size: int = 352
    num_hidden_layers: int = 5
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    head_dim: int = 64
    max_position_embeddings: int = 16384
    rms_norm_eps: float = 1e-5
    rope_theta: float = 10000.0


class Matrix(nn.Module):
    """A linear layer that keeps its weight in float32 and computes in the type of its input."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))

    def forward(self, x: Tensor) -> Tensor:
        """Multiply."""
        return functional.linear(x, self.weight.to(x.dtype))


class Norm(nn.Module):
    """Root mean square norm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape.hidden_size))
        self._eps = shape.rms_norm_eps

    def forward(self, x: Tensor) -> Tensor:
        """Scale each vector to length one, then by the weight."""
        return functional.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), self._eps)


class Block(nn.Module):
    """One layer; queries, keys and values are one matrix here, and so are gate and up."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        heads = shape.num_attention_heads + 2 * shape.num_key_value_heads
        self.input_norm = Norm(shape)
        self.qkv = Matrix(shape.hidden_size, heads * shape.head_dim)
        inner = shape.num_attention_heads * shape.head_dim
        self.out = Matrix(inner, shape.hidden_size)
        self.mlp_norm = Norm(shape)
        self.gate_up = Matrix(shape.hidden_size, 2 * shape.intermediate_size)
        self.down = Matrix(shape.intermediate_size, shape.hidden_size)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Attend, then think."""
        x = x + self._attend(self.input_norm(x), cos, sin)
        gate, up = self.gate_up(self.mlp_norm(x)).chunk(2, dim=-1)
        thought: Tensor = self.down(functional.silu(gate) * up)
        return x + thought

    def _attend(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        rows, length, _ = x.shape
        queries, keys = self.shape.num_attention_heads, self.shape.num_key_value_heads
        heads = self.qkv(x).view(rows, length, -1, self.shape.head_dim).transpose(1, 2)
        turned, value = heads[:, : queries + keys], heads[:, queries + keys :]
        first, second = turned.chunk(2, dim=-1)
        turned = turned * cos + torch.cat((-second, first), dim=-1) * sin
        query, key = turned[:, :queries], turned[:, queries:]
        key = key.repeat_interleave(queries // keys, dim=1)
        value = value.repeat_interleave(queries // keys, dim=1)
        # Written out: for short rows on a CPU three times faster than torch's fused function.
        scores = (query * self.shape.head_dim**-0.5) @ key.transpose(-1, -2)
        future = torch.full((length, length), -torch.inf, dtype=x.dtype).triu(1)
        mixed = (scores + future).softmax(-1) @ value
        attended: Tensor = self.out(mixed.transpose(1, 2).reshape(rows, length, -1))
        return attended


class Network(nn.Module):
    """The whole model; the output matrix is the embedding."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.num_hidden_layers))
        self.norm = Norm(shape)
        half = torch.arange(0, shape.head_dim, 2) / shape.head_dim
        self._frequencies = shape.rope_theta**-half
        for name, weight in self.named_parameters():
            if weight.dim() > 1:
                residual = name.endswith(("out.weight", "down.weight"))
                scale = (2 * shape.num_hidden_layers) ** -0.5 if residual else 1.0
                nn.init.normal_(weight, std=0.03 * scale)

    def forward(self, tokens: Tensor, positions: Tensor, wanted: Tensor) -> Tensor:
        """Scores of the next token at the wanted places (indexes into the flattened batch)."""
        angles = positions[:, None, :, None] * self._frequencies
        angles = torch.cat((angles, angles), dim=-1)
        cos, sin = angles.cos().bfloat16(), angles.sin().bfloat16()
        x = self.embedding(tokens).bfloat16()
        for block in self.blocks:
            x = block(x, cos, sin)
        chosen = self.norm(x).flatten(0, 1)[wanted]
        return functional.linear(chosen, self.embedding.weight.to(chosen.dtype)).float()

    def _tensors(self) -> dict[str, Tensor]:
        """All weights by their names in a Llama checkpoint; they share memory with the network."""
        shape = self.shape
        tensors: dict[str, Tensor] = {
            "model.embed_tokens.weight": self.embedding.weight,
            "model.norm.weight": self.norm.weight,
        }
        query = shape.num_attention_heads * shape.head_dim
        key = shape.num_key_value_heads * shape.head_dim
        for number, block in enumerate(self.blocks):
            if not isinstance(block, Block):
                raise TypeError(type(block))
            parts = torch.split(block.qkv.weight, [query, key, key])
            gate, up = block.gate_up.weight.chunk(2)
            layer = {
                "input_layernorm": block.input_norm.weight,
                "self_attn.q_proj": parts[0],
                "self_attn.k_proj": parts[1],
                "self_attn.v_proj": parts[2],
                "self_attn.o_proj": block.out.weight,
                "post_attention_layernorm": block.mlp_norm.weight,
                "mlp.gate_proj": gate,
                "mlp.up_proj": up,
                "mlp.down_proj": block.down.weight,
            }
            tensors |= {
                f"model.layers.{number}.{name}.weight": each for name, each in layer.items()
            }
        return tensors

    def load(self, directory: Path) -> None:
        """Take the weights of a model that was written by `save`."""
        stored = load_file(directory / "model.safetensors")
        with torch.no_grad():
            for name, tensor in self._tensors().items():
                tensor.copy_(stored[name])

    def save(self, directory: Path, end_ids: list[int]) -> None:
        """Write weights and configuration as transformers and vLLM read them."""
        shape = self.shape
        stored = {
            name: tensor.detach().bfloat16().contiguous().clone()
            for name, tensor in self._tensors().items()
        }
        path = directory / "model.safetensors"
        save_file(stored, path, metadata={"format": "pt"})
        path.chmod(0o644)  # safetensors makes it readable for its owner only
        config = {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            **asdict(shape),
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
            "attention_dropout": 0.0,
            "tie_word_embeddings": True,
            "torch_dtype": "bfloat16",
            "bos_token_id": None,
            "eos_token_id": end_ids[0],
            "pad_token_id": end_ids[-1],
            "use_cache": True,
        }
        generation = {
            "do_sample": True,
            "temperature": 0.1,
            "top_p": 0.9,
            "eos_token_id": end_ids,
            "pad_token_id": end_ids[-1],
        }
        for name, content in (("config", config), ("generation_config", generation)):
            text = json.dumps(content, indent=2) + "\n"
            (directory / f"{name}.json").write_text(text, encoding="utf-8")
