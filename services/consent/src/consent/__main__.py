"""`python -m consent api|worker|migrate`."""

from consent.main import CONSENT

if __name__ == "__main__":
    CONSENT.run()
