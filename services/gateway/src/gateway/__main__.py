"""`python -m gateway api` runs the gateway."""

from chassis.startup import quick_imports

with quick_imports():
    from chassis.entry import run_service
    from gateway.main import run_api
    from gateway.settings import GatewaySettings


def main() -> None:
    """Be the process that the command line names."""
    run_service("gateway", GatewaySettings, {"api": run_api})


if __name__ == "__main__":
    main()
