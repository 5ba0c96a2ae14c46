"""The route in Falcon."""

from falcon.asgi import App, Request, Response


class Item:
    """The resource."""

    async def on_get(self, request: Request, response: Response, id: int) -> None:
        response.media = {"id": id, "name": "Ada", "tags": ["first", "second"], "active": True}


app = App()
app.add_route("/items/{id:int}", Item())
