"""`python -m sample api|worker|migrate`."""

from chassis.startup import quick_imports

with quick_imports():
    from sample.main import SAMPLE

if __name__ == "__main__":
    SAMPLE.run()
