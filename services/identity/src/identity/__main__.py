"""`python -m identity api|worker|migrate`, and the operator's commands."""

from chassis.startup import quick_imports

with quick_imports():
    from identity.main import IDENTITY
    from identity.operator import add_commands, run_command

if __name__ == "__main__":
    IDENTITY.run(add_commands=add_commands, run_command=run_command)
