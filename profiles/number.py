"""Reads whole numbers as vLLM's flags spell them: 8192, 32k, 32K, 25.6k."""

import re
from fractions import Fraction

_SPELLING = re.compile(r"(\d+)(\.\d+)?([kmgtKMGT]?)")
_FACTORS = {
    "": 1,
    "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
    "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40,
}  # fmt: skip


def whole_number(text: str) -> int | None:
    """The number, None for anything else (vLLM 0.32, utils/argparse_utils.py).

    Lower-case suffixes are decimal and take fractions, upper-case ones are binary and do not.
    """
    found = _SPELLING.fullmatch(text.strip())
    if found is None:
        return None
    whole, fraction, suffix = found.groups()
    if fraction and not suffix.islower():
        return None
    return int(Fraction(whole + (fraction or "")) * _FACTORS[suffix])
