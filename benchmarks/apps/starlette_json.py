"""The route in Starlette."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def show(request: Request) -> JSONResponse:
    id = request.path_params["id"]
    return JSONResponse({"id": id, "name": "Ada", "tags": ["first", "second"], "active": True})


app = Starlette(routes=[Route("/items/{id:int}", show)])
