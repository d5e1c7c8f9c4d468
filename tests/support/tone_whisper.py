"""Trains the Whisper in tests/data/tone-whisper, which hears the speech of `tones`.

    python -m tests.support.tone_whisper
    python -m tests.support.tone_whisper --start tests/data/tone-whisper --seed 21 --steps 1500

Architecture, tokens and feature extractor are Whisper's; layers, clip length and vocabulary are
small. It writes down English (sines) and German (square waves), translates German into English,
detects the language, and marks sentences with timestamps.
"""

import argparse
import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers
from torch.nn import functional
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)
from vllm.model_executor.models.whisper_utils import ISO639_1_SUPPORTED_LANGS

from tests.support import tones

MODEL = Path(__file__).parents[1] / "data" / "tone-whisper"
CLIP_S = 4
"""The model hears this much at once; longer audio is split."""

_FRAMES = CLIP_S * 50  # of the encoder, 20 ms each
_EXAMPLES = 3000
_STEPS = 1800
_BATCH = 16
_RATE = 3e-3
_IGNORED = -100


@dataclass(frozen=True)
class Example:
    """What was said, and when each sentence began and ended, in frames."""

    samples: tones.Samples
    language: str
    sentences: list[list[int]]
    spans: list[tuple[int, int]]


def make_tokenizer() -> WhisperTokenizer:
    """Bytes and the words there are, and Whisper's special tokens in Whisper's order."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    words = [f" {word}" for language in tones.WORDS.values() for word in language]
    bpe.train_from_iterator(["".join(words)] * 10, trainer)
    vocabulary = bpe.get_vocab()
    merges = [tuple(pair) for pair in json.loads(bpe.to_str())["model"]["merges"]]
    special = [
        "<|endoftext|>",
        "<|startoftranscript|>",
        *(f"<|{language}|>" for language in ISO639_1_SUPPORTED_LANGS),
        "<|translate|>",
        "<|transcribe|>",
        "<|startoflm|>",
        "<|startofprev|>",
        "<|nospeech|>",
        "<|notimestamps|>",
    ]
    tokenizer = WhisperTokenizer(vocab=vocabulary, merges=merges)
    tokenizer.add_special_tokens({"additional_special_tokens": special[1:]})
    times = [_time(frame) for frame in range(_FRAMES + 1)]
    tokenizer.add_tokens([AddedToken(time, normalized=False, special=False) for time in times])
    return tokenizer


def make_example(chance: random.Random) -> Example:
    """A few sentences of a few words, somewhere in a clip."""
    language = chance.choice(("en", "de"))
    samples = tones.silence(chance.choice((0.0, 0.0, chance.uniform(0, 1.0))))
    sentences: list[list[int]] = []
    spans: list[tuple[int, int]] = []
    for _ in range(chance.choice((0, 1, 1, 2, 2, 3))):
        words = [chance.randrange(5) for _ in range(chance.randint(1, 5))]
        begun = len(samples) / tones.RATE
        said = tones.speech([words], language)
        if begun + len(said) / tones.RATE > CLIP_S:
            break
        sentences.append(words)
        ended = begun + len(said) / tones.RATE - tones.GAP_S
        spans.append((round(begun * 50), round(ended * 50)))
        pause = tones.PAUSE_S - tones.GAP_S + chance.choice((0.0, chance.uniform(-0.1, 0.4)))
        samples = np.concatenate([samples, said, tones.silence(pause)])
    samples = samples[: CLIP_S * tones.RATE] * chance.uniform(0.5, 1.5)
    noise = np.random.default_rng(chance.randrange(1 << 30)).normal(size=len(samples))
    level = chance.choice((0.0, 1e-4, 1e-3))
    return Example((samples + level * noise).astype(np.float32), language, sentences, spans)


def _time(frame: int) -> str:
    return f"<|{frame * 0.02:.2f}|>"


def labels_of(example: Example, tokenizer: WhisperTokenizer, chance: random.Random) -> list[int]:
    """Everything from the start of the transcript to its end, in one of Whisper's forms."""
    task = chance.choice(("transcribe", "translate"))
    language = "en" if task == "translate" else example.language
    said = [f" {tones.text([words], language)}" for words in example.sentences]
    if chance.random() < 0.5:
        body = "<|notimestamps|>" + "".join(said)
    else:
        # Every answer with timestamps begins at 0, for vLLM has that one written already.
        begun = [0, *(start for start, _ in example.spans[1:])]
        parts = zip(begun, said, (end for _, end in example.spans), strict=False)
        body = "".join(f"{_time(start)}{words}{_time(end)}" for start, words, end in parts)
        body = body or _time(0)
    head = f"<|startoftranscript|><|{example.language}|><|{task}|>"
    ids: list[int] = tokenizer.encode(head + body + "<|endoftext|>", add_special_tokens=False)
    return ids


def make_model(tokenizer: WhisperTokenizer) -> WhisperForConditionalGeneration:
    def token(text: str) -> Any:
        return tokenizer.convert_tokens_to_ids(text)

    end = token("<|endoftext|>")
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        num_mel_bins=80,
        d_model=64,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=192,
        decoder_ffn_dim=192,
        max_source_positions=_FRAMES,
        max_target_positions=128,
        dropout=0.0,
        pad_token_id=end,
        bos_token_id=end,
        eos_token_id=end,
        decoder_start_token_id=token("<|startoftranscript|>"),
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    model = WhisperForConditionalGeneration(config)
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]  # transformers', untyped
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=token("<|startoftranscript|>"),
    )
    return model


def train(
    model: WhisperForConditionalGeneration, processor: WhisperProcessor, seed: int, steps: int
) -> None:
    chance = random.Random(seed)  # noqa: S311  # data, not secrets
    examples = [make_example(chance) for _ in range(_EXAMPLES)]
    features = torch.cat(
        [
            processor.feature_extractor(
                [example.samples for example in examples[start : start + 200]],
                sampling_rate=tones.RATE,
                return_tensors="pt",
            ).input_features
            for start in range(0, _EXAMPLES, 200)
        ]
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
    model.train()
    for step in range(steps):
        chosen = chance.sample(range(_EXAMPLES), _BATCH)
        rows = [labels_of(examples[index], processor.tokenizer, chance) for index in chosen]
        longest = max(map(len, rows))
        ids = torch.tensor([row + [_IGNORED] * (longest - len(row)) for row in rows])
        inputs = ids[:, :-1].clamp(min=0)
        logits = model(input_features=features[chosen], decoder_input_ids=inputs).logits
        loss = functional.cross_entropy(
            logits.flatten(0, 1), ids[:, 1:].flatten(), ignore_index=_IGNORED
        )
        loss.backward()  # type: ignore[no-untyped-call]  # torch's, untyped
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        if step % 100 == 0:
            sys.stderr.write(f"step {step}: loss {loss.item():.4f}\n")
    model.eval()  # type: ignore[no-untyped-call]  # transformers', untyped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=_STEPS)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--start", type=Path, help="go on from the model in this folder")
    parser.add_argument("--out", type=Path, default=MODEL)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(1)  # more would wait for each other: the layers are small
    tokenizer = make_tokenizer()
    extractor = WhisperFeatureExtractor(  # type: ignore[no-untyped-call]  # transformers', untyped
        feature_size=80, chunk_length=CLIP_S
    )
    processor = WhisperProcessor(  # type: ignore[no-untyped-call]  # transformers', untyped
        feature_extractor=extractor, tokenizer=tokenizer
    )
    model = make_model(tokenizer)
    if arguments.start:
        model = WhisperForConditionalGeneration.from_pretrained(
            arguments.start, dtype=torch.float32
        )
    train(model, processor, arguments.seed, arguments.steps)
    model.half()  # type: ignore[no-untyped-call]  # as above
    model.save_pretrained(arguments.out)
    processor.save_pretrained(arguments.out)


if __name__ == "__main__":
    main()
