"""Count visits in the key-value store: exact with any number of workers. `echelon run examples/kv_counter.py`"""

from datetime import timedelta

from echelon import Application, HTTPError, Kv, Request

app = Application()


@app.get("/visit/{page}")
async def visit(page: str, request: Request, kv: Kv) -> dict[str, int]:
    """Count a visit, and remember the visitor for an hour, in one commit."""
    visitor = request.client[0] if request.client else "unknown"
    change = kv.atomic().sum(("visits", page), 1)
    await change.set(("visitors", page, visitor), None, expire_in=timedelta(hours=1)).commit()
    visits = await kv.get(("visits", page), type=int)
    visitors = [entry async for entry in kv.list(prefix=("visitors", page))]
    return {"visits": visits.value or 0, "visitors": len(visitors)}


@app.get("/top")
async def top(kv: Kv, limit: int = 10) -> list[tuple[str, int]]:
    """List the most visited pages."""
    pages = [(str(entry.key[1]), entry.value or 0) async for entry in kv.list(prefix=("visits",), type=int)]
    return sorted(pages, key=lambda page: page[1], reverse=True)[:limit]


@app.post("/rename/{old}/{new}")
async def rename(old: str, new: str, kv: Kv) -> tuple[dict[str, bool], int]:
    """Move a counter, unless somebody counted meanwhile: then nothing happens and the client may try again."""
    entry = await kv.get(("visits", old))
    if entry.versionstamp is None:
        raise HTTPError(404, f"nobody visited {old}")
    change = kv.atomic().check(entry).check(key=("visits", new), versionstamp=None)
    result = await change.delete(("visits", old)).set(("visits", new), entry.value).commit()
    return {"renamed": result.ok}, 200 if result.ok else 409
