"""`python -m consent api|worker|migrate`."""

from chassis.startup import quick_imports

with quick_imports():
    from consent.main import CONSENT

if __name__ == "__main__":
    CONSENT.run()
