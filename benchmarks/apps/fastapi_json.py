"""The route in FastAPI."""

from typing import Any

from fastapi import FastAPI

app = FastAPI(openapi_url=None)


@app.get("/items/{id}", response_model=None)
async def show(id: int) -> dict[str, Any]:
    return {"id": id, "name": "Ada", "tags": ["first", "second"], "active": True}
