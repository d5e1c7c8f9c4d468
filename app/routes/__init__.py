"""All routes there are: what is not in these tuples answers 404."""

from fastapi import APIRouter

from app.routes import (
    adapters,
    audio,
    chat,
    completions,
    documentation,
    embeddings,
    health,
    messages,
    metadata,
    metrics,
    models,
    responses,
    sagemaker,
    scoring,
    tokenize,
)

PUBLIC: tuple[APIRouter, ...] = (health.router,)
"""Probes, which nobody has to prove anything for."""

GUARDED: tuple[APIRouter, ...] = (
    chat.router,
    completions.router,
    responses.router,
    messages.router,
    embeddings.router,
    scoring.router,
    audio.router,
    models.router,
    adapters.router,
    tokenize.router,
    metadata.router,
    metrics.router,
    documentation.router,
)
"""Everything else."""

SAGEMAKER: tuple[APIRouter, ...] = (sagemaker.router,)
"""Only in SageMaker mode; `app.keys` knows that one of them is a probe."""
