"""The HTTP application and the life of the process; the only package that knows HTTP."""
