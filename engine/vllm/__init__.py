"""The only place that imports vLLM, torch or transformers; each file is named after what it wraps.

Importing this package costs seconds, so `engine.engine` does it in a thread, after HTTP is up.
"""
