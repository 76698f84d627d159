"""`python -m identity api|worker|migrate`, and the operator's commands."""

from chassis.startup import quick_imports

with quick_imports():
    from identity import operator
    from identity.main import IDENTITY

if __name__ == "__main__":
    operator.run_alone()
    IDENTITY.run(add_commands=operator.add_commands, run_command=operator.run_command)
