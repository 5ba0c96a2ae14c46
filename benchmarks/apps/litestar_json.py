"""The route in Litestar."""

from typing import Any

from litestar import Litestar, get


@get("/items/{id:int}")
async def show(id: int) -> dict[str, Any]:
    return {"id": id, "name": "Ada", "tags": ["first", "second"], "active": True}


app = Litestar([show], openapi_config=None)
