"""Makes the tokenizer: byte-level BPE whose pieces do not depend on a space before a value."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
# Not special: the reasoning and tool parsers must see them in the text.
MARKS = (
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
)
VOCABULARY_SIZE = 1024
_SPACED_WORDS = 360


def split_pattern(texts: Sequence[str]) -> str:
    """Make the rule that cuts text into words.

    Frequent words keep the space before them, which makes answers short. For all others the space
    is a piece of its own: so a value has the same pieces in a question and in JSON, and copying it
    is copying pieces.
    """
    counts = Counter(word for text in texts for word in re.findall(r"(?<= )[a-z]+\b", text))
    words = sorted(word for word, _ in counts.most_common(_SPACED_WORDS))
    return "|".join(
        (
            rf" (?:{'|'.join(words)})(?![\p{{L}}\p{{N}}_/@])",
            r'"?[:,] [\{\["]*',
            r'\{"',
            r'"\}+',
            r"\p{L}+",
            r"\p{N}",
            r"\n+",
            r"\s",
            r"[^\s\p{L}\p{N}]",
        )
    )


def train_tokenizer(texts: Sequence[str]) -> Tokenizer:
    """Train the tokenizer on the text of the examples; every byte can be written."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split_pattern(texts)), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE - len(MARKS),
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    plain = [re.sub("|".join(map(re.escape, SPECIAL + MARKS)), "\n", text) for text in texts]
    tokenizer.train_from_iterator(plain, trainer)
    tokenizer.add_tokens([AddedToken(mark, normalized=False, special=False) for mark in MARKS])
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, directory: Path, max_length: int) -> None:
    """Write the tokenizer in the form that transformers and vLLM read."""
    tokenizer.save(str(directory / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "unk_token": None,
        "add_bos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": max_length,
    }
    text = json.dumps(settings, indent=2) + "\n"
    (directory / "tokenizer_config.json").write_text(text, encoding="utf-8")
