"""An application as its author writes it. Type-checked, never run."""

from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import datetime, timedelta
from typing import Annotated, Any, assert_type

import msgspec

from echelon import (
    HTML,
    JSON,
    Application,
    Config,
    File,
    HTTPError,
    Kv,
    Limits,
    Permissions,
    Problem,
    Redirect,
    Request,
    Response,
    Router,
    Runtime,
    Stream,
    Text,
)
from echelon.http import Header, Upload, blocking
from echelon.jobs import Delivery
from echelon.kv import CommitResult
from echelon.middleware import CORS, Compression, RequestId, SecurityHeaders, Timeout
from echelon.types import CallNext


class User(msgspec.Struct):
    name: str
    age: int = 0


app = Application("echelon.toml")
configured = Application(config=Config())
math = app.wasm.module(
    "guests/math.ts",
    permissions=Permissions(env=["TZ"]),
    limits=Limits(memory="16MiB", time=timedelta(seconds=1)),
)


@app.get("/users/{id:int}", name="user")
async def show(id: int, kv: Kv, verbose: bool = False) -> User | None:
    entry = await kv.get(("users", id), type=User)
    assert_type(entry.value, User | None)
    return entry.value


@app.post("/users")
async def create(user: User, agent: Annotated[str, Header("user-agent")]) -> tuple[User, int]:
    return user, 201


@app.put("/avatar")
async def avatar(picture: Upload) -> Response:
    return Text(picture.filename or "unnamed")


@app.get("/sum/{n:int}")
async def total(n: int, wasm: Runtime) -> int:
    assert_type(await math.call("fib", n), Any)
    return int(await math.fib(n))


@blocking
@app.get("/report")
def report(request: Request) -> Response:
    assert_type(request.method, str)
    assert_type(request.query.get("page"), str | None)
    if request.headers.get("accept") == "text/html":
        return HTML("<h1>Report</h1>")
    return JSON({"client": request.client})


@app.get("/lines")
async def lines() -> Stream:
    async def produce() -> AsyncIterator[bytes]:
        yield b"line\n"

    return Stream(produce())


@app.get("/old")
async def old() -> Redirect:
    return Redirect("/new")


@app.get("/file")
async def file() -> File:
    return File("data.csv", root=".")


@app.middleware
async def tag(request: Request, call_next: CallNext) -> Response:
    response = await call_next(request)
    assert_type(response, Response)
    response.headers["x-tag"] = "1"
    return response


@app.on_error(404)
async def missing(request: Request, error: HTTPError) -> Problem:
    return Problem(404, error.detail)


@app.on_start
async def fill() -> None:
    await app.kv.set(("started",), True)


@app.queue
async def resize(image: str, kv: Kv) -> None:
    await kv.set(("resized", image), True)


@app.queue(
    "emails", backoff_schedule=[timedelta(seconds=1)], undelivered=("failed",), timeout=timedelta(minutes=1)
)
async def send(user: User, delivery: Delivery) -> None:
    assert_type(delivery.attempt, int)


@app.cron("*/5 * * * *", timezone="Europe/Zurich", catch_up=True)
async def clean(slot: datetime) -> None:
    result = await app.enqueue("emails", User("Ada"), delay=timedelta(hours=1))
    assert_type(result, CommitResult | None)
    await app.enqueue(resize, "a.png", into=app.kv.atomic())


@app.cron(timedelta(seconds=30))
def tick() -> None: ...


as_before: Callable[[str, Kv], Coroutine[Any, Any, None]] = resize
api = app.group("/api", middleware=[Timeout(5), SecurityHeaders()], name="api")
api.get("/users/{id:int}")(show)
others = Router()
app.include(others, "/v2", middleware=[CORS(origins=["https://example.com"]), Compression(), RequestId()])
app.mount("/math", math)
assert_type(app.url_for("user", id=1), str)


async def without_a_server() -> None:
    async with app:
        artifact = await app.generator.compile("(module)", language="wat")
        assert_type(artifact.wasm, bytes)
        assert_type(artifact.digest, str)


app.get(5)  # type: ignore[arg-type]  # a path is a text
app.kv = None  # type: ignore[assignment, misc]  # the store belongs to the application
Limits(memory=None)  # type: ignore[arg-type]  # no limit can be switched off but fuel
Permissions(network=True)  # type: ignore[call-arg]  # a permission is spelt one way
