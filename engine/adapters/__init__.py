"""LoRA adapters as files: which there are, which are good, and what to load; no vLLM in here."""
