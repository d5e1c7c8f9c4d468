"""Trains the demonstration model from the corpus: tokenizer, weights, and a score at the end."""

import argparse
import math
import shutil
import sys
import time
from pathlib import Path

import torch
from batches import Batch, Batches, read_template, render
from examples import Corpus
from network import Network, Shape
from score import Questions
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional
from vocabulary import SPECIAL, VOCABULARY_SIZE, save_tokenizer, train_tokenizer

HERE = Path(__file__).parent
SEED = 20
STEPS = 5600
BATCH_TOKENS = 4096
TOKENIZER_EXAMPLES = 15000
COPYING_SHARE = 0.6
ADAM_RATE = 3e-3
MUON_RATE = 2e-2
WARMUP_STEPS = 60
_REPORT_EVERY = 20


def parse_arguments() -> argparse.Namespace:
    """Where to write and how long to train at most."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=HERE / "unigate-demo", help="folder of the model"
    )
    parser.add_argument("--minutes", type=float, default=27, help="longest training time")
    parser.add_argument("--start", type=Path, help="go on from the model in this folder")
    return parser.parse_args()


def say(text: str, end: str = "\n") -> None:
    """Show progress on standard error."""
    sys.stderr.write(text + end)
    sys.stderr.flush()


class Trainer:
    """Teaches a network: Muon for the matrices of the layers, AdamW for the rest."""

    def __init__(self, network: Network) -> None:
        self._network = network
        matrices = [weight for weight in network.blocks.parameters() if weight.dim() > 1]
        known = {id(weight) for weight in matrices}
        others = [weight for weight in network.parameters() if id(weight) not in known]
        self._optimizers: list[tuple[torch.optim.Optimizer, float]] = [
            (torch.optim.Muon(matrices, lr=MUON_RATE, weight_decay=0.01), MUON_RATE),
            (
                torch.optim.AdamW(others, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.0),
                ADAM_RATE,
            ),
        ]

    def learn(self, batch: Batch, rate: float) -> float:
        """One step at a share of the full rate; returns the loss."""
        scores = self._network(batch.tokens, batch.positions, batch.wanted)
        loss = functional.cross_entropy(scores, batch.targets)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it without types
        nn.utils.clip_grad_norm_(self._network.parameters(), 1.0)
        for optimizer, full_rate in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = full_rate * rate
            optimizer.step()
            optimizer.zero_grad()
        return loss.item()


def rate_at(step: int, progress: float) -> float:
    """Share of the full learning rate: a short rise, then a cosine down to almost nothing."""
    fallen = 0.5 * (1 + math.cos(math.pi * progress))
    return min(1.0, (step + 1) / WARMUP_STEPS) * (0.02 + 0.98 * fallen)


def train(network: Network, batches: Batches, minutes: float) -> float:
    """Train for STEPS steps, fewer if the time is shorter; returns the seconds it took."""
    trainer = Trainer(network)
    started = time.monotonic()
    mean = 0.0
    for step, batch in enumerate(batches):
        spent_s = time.monotonic() - started
        progress = max(step / STEPS, spent_s / (60 * minutes))
        if progress >= 1:
            break
        loss = trainer.learn(batch, rate_at(step, progress))
        mean = loss if step == 0 else 0.97 * mean + 0.03 * loss
        if step % _REPORT_EVERY == 0:
            left_s = spent_s / progress * (1 - progress) if progress else 0
            end = "\n" if step % 200 == 0 else "\r"
            say(f"step {step} of {STEPS}, loss {mean:.4f}, {left_s / 60:.1f} min left  ", end)
    return time.monotonic() - started


def main() -> None:
    """Make the tokenizer, train, write, and ask the held-out questions."""
    arguments = parse_arguments()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    questions = Questions.read(HERE / "questions.yaml")
    corpus = Corpus(HERE / "corpus", SEED, questions.held_out())
    template_path = HERE / "unigate-demo" / "chat_template.jinja"
    template = read_template(template_path)
    start: Path | None = arguments.start
    if start:
        tokenizer = Tokenizer.from_file(str(start / "tokenizer.json"))
    else:
        texts = ["".join(render(template, corpus.draw())) for _ in range(TOKENIZER_EXAMPLES)]
        tokenizer = train_tokenizer(texts)
    shape = Shape(vocab_size=VOCABULARY_SIZE)
    save_tokenizer(tokenizer, out, shape.max_position_embeddings)
    if out.resolve() != template_path.parent.resolve():
        shutil.copy(template_path, out)
    network = Network(shape)
    if start:
        network.load(start)
    count = sum(weight.numel() for weight in network.parameters())
    say(f"{count} parameters, {tokenizer.get_vocab_size()} pieces, {torch.get_num_threads()} cores")
    batches = Batches(
        corpus,
        tokenizer,
        template,
        seed=SEED,
        size_tokens=BATCH_TOKENS,
        copying_share=0.0 if start else COPYING_SHARE,
    )
    spent_s = train(network, batches, arguments.minutes)
    network.save(out, [SPECIAL.index("<|im_end|>"), SPECIAL.index("<|endoftext|>")])
    say(f"\ntrained in {spent_s / 60:.1f} minutes")
    say(questions.ask(out))


if __name__ == "__main__":
    main()
