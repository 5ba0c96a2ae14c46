"""The route in BlackSheep."""

from blacksheep import Application, Response, get, json

app = Application()


@get("/items/{id}")
async def show(id: int) -> Response:
    return json({"id": id, "name": "Ada", "tags": ["first", "second"], "active": True})
