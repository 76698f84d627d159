"""`python -m journal api|worker|migrate`."""

from journal.main import JOURNAL

if __name__ == "__main__":
    JOURNAL.run()
