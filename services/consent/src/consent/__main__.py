"""`python -m consent api|worker|migrate`, and `ledger verify` and `witness`, which need no service."""

from chassis.startup import quick_imports

with quick_imports():
    from consent import operator
    from consent.main import CONSENT

if __name__ == "__main__":
    operator.run_alone()
    CONSENT.run(add_commands=operator.add_commands)
