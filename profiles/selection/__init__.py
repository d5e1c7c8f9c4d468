"""Chooses a profile for a model on a machine, and explains the choice."""

from profiles.selection.selection import Selection, appraise_all, select

__all__ = ["Selection", "appraise_all", "select"]
