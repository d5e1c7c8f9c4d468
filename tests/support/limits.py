"""How much one request may ask for where nobody has set anything."""

from app.compose import limits
from app.settings import read

DEFAULTS = limits(read({}).settings)
