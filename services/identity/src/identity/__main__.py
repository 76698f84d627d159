"""`python -m identity api|worker|migrate`, and the operator's commands."""

from chassis.entry import run_service
from identity.main import create_api, create_worker
from identity.operator import add_commands, run_command
from identity.settings import IdentitySettings

if __name__ == "__main__":
    run_service(
        "identity",
        IdentitySettings,
        create_api=create_api,
        create_worker=create_worker,
        add_commands=add_commands,
        run_command=run_command,
    )
