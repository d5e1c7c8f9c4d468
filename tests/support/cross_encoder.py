"""A cross-encoder of two layers with random weights: small, made anew where it is needed."""

import shutil
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertConfig

CONTEXT = 128
POISON = "nan"
"""A word that the model cannot read: its vector is not of numbers."""

_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def make_cross_encoder(tokenizer: Path, place: Path) -> None:
    """Write the model into `place`, with the tokenizer that is in a directory of BERT's."""
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=CONTEXT,
        id2label={0: "relevance"},
        label2id={"relevance": 0},
        # Wide enough for the logits of different texts to be far apart.
        initializer_range=0.3,
    )
    model = AutoModelForSequenceClassification.from_config(config)  # type: ignore[no-untyped-call]
    words = (tokenizer / "vocab.txt").read_text().splitlines()
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight[words.index(POISON)] = torch.nan
    model.save_pretrained(place)
    for name in _TOKENIZER:
        shutil.copy(tokenizer / name, place)


class Reference:
    """The same model in transformers, with the logits it gives."""

    def __init__(self, place: Path) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(place)
        self._model = AutoModelForSequenceClassification.from_pretrained(place)

    def logits(self, query: str, texts: list[str]) -> list[float]:
        """One for each text, of which only what fits beside the query is read."""
        pairs = self._tokenizer(
            [query] * len(texts), texts,
            padding=True, truncation="only_second", max_length=CONTEXT, return_tensors="pt",
        )  # fmt: skip
        with torch.no_grad():
            found: list[float] = self._model(**pairs).logits.flatten().tolist()
        return found
