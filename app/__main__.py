"""`python -m app` is `unigate`."""

from app.start import unigate

if __name__ == "__main__":
    unigate()
