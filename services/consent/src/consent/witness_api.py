"""The HTTP side of a witness: one route (C2SP tlog-witness)."""

import asyncio

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from consent.transparency.note import LARGEST_NOTE
from consent.transparency.witness import Witness, WitnessRefused

SIZE_TYPE = "text/x.tlog.size"


def create_app(witness: Witness) -> Starlette:
    """Return the application of a witness."""
    # Looking at what is known and writing it anew is one step: one request at a time.
    one_at_a_time = asyncio.Lock()

    async def add_checkpoint(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > LARGEST_NOTE:
                return PlainTextResponse("The request is too large.\n", 413)
        try:
            text = body.decode()
        except UnicodeDecodeError:
            return PlainTextResponse("The request is no text.\n", 400)
        async with one_at_a_time:
            try:
                line = await asyncio.to_thread(witness.add_checkpoint, text)
            except WitnessRefused as refused:
                kind = SIZE_TYPE if refused.is_size else "text/plain; charset=utf-8"
                return Response(refused.body, refused.status, headers={"Content-Type": kind})
        return PlainTextResponse(line)

    return Starlette(routes=[Route("/add-checkpoint", add_checkpoint, methods=["POST"])])
