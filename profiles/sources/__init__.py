"""The places models come from: each lists its files and gives their bytes from any offset."""
