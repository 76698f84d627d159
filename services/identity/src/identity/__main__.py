"""`python -m identity api|worker|migrate`."""

from chassis.entry import run_service
from identity.main import create_api, create_worker
from identity.settings import IdentitySettings

if __name__ == "__main__":
    run_service("identity", IdentitySettings, create_api=create_api, create_worker=create_worker)
