"""Estimates the memory vLLM will need for a model, before anything is loaded."""

from profiles.memory.estimate import Estimate, Fit, estimate
from profiles.memory.model import ModelFacts, read_model, read_model_directory
from profiles.memory.options import EngineOptions, LoraOptions
from profiles.memory.tensors import Tensor, Tensors, read_tensors

__all__ = [
    "EngineOptions",
    "Estimate",
    "Fit",
    "LoraOptions",
    "ModelFacts",
    "Tensor",
    "Tensors",
    "estimate",
    "read_model",
    "read_model_directory",
    "read_tensors",
]
