"""The health port of a process that has no API: the same answers, without a framework."""

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from chassis.health import Health
from chassis.problems import NotFound

_FOLDER = "/health/"


class WorkerHealth:
    """Answers what an orchestrator, a gateway and an operator ask of a worker."""

    def __init__(self, health: Health) -> None:
        self._health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; raises `NotFound` and `NotHealthy`."""
        if scope["method"] not in ("GET", "HEAD"):
            raise NotFound
        await JSONResponse(await self._told(scope["path"]))(scope, receive, send)

    async def _told(self, path: str) -> dict[str, str]:
        match path.removeprefix(_FOLDER):
            case "/health":
                return self._health.serving()
            case "liveness":
                return self._health.alive()
            case "readiness":
                return await self._health.ready()
            case part if path.startswith(_FOLDER):
                return await self._health.part(part)
        raise NotFound
