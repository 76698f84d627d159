"""`python -m consent api|worker|migrate`."""

from chassis.entry import run_service
from consent.main import create_api, create_worker
from consent.settings import ConsentSettings

if __name__ == "__main__":
    run_service("consent", ConsentSettings, create_api=create_api, create_worker=create_worker)
