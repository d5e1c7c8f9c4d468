"""Measures servers from outside: speaks HTTP to a URL, and imports nothing of ours."""
