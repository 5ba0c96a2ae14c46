"""Customers send TypeScript, the shop runs it: compiled, sandboxed, bounded. `echelon run examples/plugins.py`

curl -X PUT --data-binary @examples/guests/discount.ts localhost:8000/plugins/ada
curl 'localhost:8000/price/ada?cents=1000&articles=tea&articles=milk&articles=jam'
"""

from contextlib import closing

from echelon import Application, HTTPError, Kv, Limits, Permissions, Problem, Request
from echelon.errors import CompileError, GuestError, PermissionDenied

ALLOWED = Permissions(env=["SHOP_*"])
BOUNDS = Limits(memory="16MiB", time="50ms", host_calls=100)
WANTED = "price(cents: i32, articles: list<str>) -> i32"

app = Application()


@app.put("/plugins/{customer}")
async def install(customer: str, request: Request, kv: Kv) -> dict[str, str]:
    """Compile a plug-in, check that it has the one function we call, and keep it."""
    artifact = await app.generator.compile(await request.text(), "typescript", name="plugin.ts")
    with closing(await app.wasm.load(artifact.wasm)) as module:
        functions = [str(function) for function in module.exports()]
    if functions != [WANTED]:
        raise HTTPError(422, f"a plug-in exports {WANTED}, this one {', '.join(functions) or 'nothing'}")
    app.generator.artifacts.pin(artifact.digest)
    await kv.set(("plugins", customer), artifact.digest)
    return {"digest": artifact.digest}


@app.get("/price/{customer}")
async def price(customer: str, cents: int, articles: list[str], kv: Kv) -> dict[str, object]:
    """Ask the customer's plug-in for a price: 50 ms, 16 MiB, and nothing but our SHOP_ variables."""
    digest = (await kv.get(("plugins", customer))).value
    artifact = app.generator.artifacts.get(digest) if digest else None
    if artifact is None:
        raise HTTPError(404, f"{customer} has no plug-in")
    loading = app.wasm.load(artifact.wasm, name=customer, permissions=ALLOWED, limits=BOUNDS)
    with closing(await loading) as module:
        result = await module.run("price", cents, articles)
    log = [entry.message for entry in result.logs]
    return {"cents": result.value, "log": log, "ms": result.cost.wall * 1000}


@app.on_error(CompileError)
async def not_compiled(request: Request, error: CompileError) -> Problem:
    return Problem(422, str(error), diagnostics=[str(diagnostic) for diagnostic in error.diagnostics])


@app.on_error(GuestError)
@app.on_error(PermissionDenied)
async def guest_failed(request: Request, error: GuestError | PermissionDenied) -> Problem:
    return Problem(502, str(error), title="The plug-in failed")
