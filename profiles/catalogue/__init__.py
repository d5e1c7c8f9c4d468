"""Tuned profiles as data, one file for each model family, and what reads them."""

from profiles.catalogue.family import CATALOGUE, Family, load, recognise

__all__ = ["CATALOGUE", "Family", "load", "recognise"]
