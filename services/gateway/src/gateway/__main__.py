"""`python -m gateway api` runs the gateway."""

import argparse

from chassis.telemetry import configure_logging
from gateway.main import create_api
from gateway.server import serve
from gateway.settings import configured


def main() -> None:
    """Run the process that the command line names."""
    parser = argparse.ArgumentParser(prog="gateway", description="The only door of the platform.")
    parser.add_argument("process", choices=["api"], help="what to run; the gateway is one process")
    parser.parse_args()
    settings = configured()
    configure_logging(service="gateway", level=settings.log_level)
    serve(create_api(settings), host=settings.host, port=settings.port).run()


if __name__ == "__main__":
    main()
