"""The route in Echelon, with everything an application has by default: telemetry, security checks, a router."""

from typing import Any

from echelon import Application

app = Application()


@app.get("/items/{id:int}")
async def show(id: int) -> dict[str, Any]:
    return {"id": id, "name": "Ada", "tags": ["first", "second"], "active": True}
