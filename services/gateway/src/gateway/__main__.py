"""`python -m gateway api` runs the gateway."""

import argparse
import sys

from pydantic import ValidationError

from chassis.hardening import forbid_inspection
from chassis.telemetry import configure_logging
from gateway.main import create_api
from gateway.server import serve
from gateway.settings import GatewaySettings, configured
from gateway.wiring import Service

_FAILED = 1
_CONFIGURATION_ERROR = 2


def main() -> None:
    """Run the process that the command line names."""
    forbid_inspection()
    parser = argparse.ArgumentParser(prog="python -m gateway", description="The only door of the platform.")
    parser.add_argument("process", choices=["api"], help="what to run; the gateway is one process")
    parser.parse_args()
    settings = _settings()
    configure_logging(service="gateway", level=settings.log_level)
    service = Service(settings)
    server = serve(create_api(settings, service), host=settings.host, port=settings.port)
    service.stop = lambda: setattr(server, "should_exit", True)
    server.run()
    if service.failed:
        raise SystemExit(_FAILED)


def _settings() -> GatewaySettings:
    """Return the settings, or end the process saying which variables are wrong."""
    try:
        return configured()
    except ValidationError as error:
        for found in error.errors(include_input=False, include_url=False):
            name = "_".join(str(part) for part in ("GATEWAY", *found["loc"])).upper()
            sys.stderr.write(f"{name}: {found['msg']}\n")
        sys.stderr.write("`make env` writes a complete .env; .env.example describes every variable.\n")
        raise SystemExit(_CONFIGURATION_ERROR) from None


if __name__ == "__main__":
    main()
