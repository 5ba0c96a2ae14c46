"""Short links: POST a URL, GET /2 leads there, GET / shows all. It needs `kv` for `links` and `followed`."""

from dataclasses import dataclass

from echelon.guest import Entry, Request, Response, env, kv, log


@dataclass
class Link:
    number: int
    url: str
    followed: int


def handle(request: Request) -> Response:
    if request.method == "POST":
        return shorten(request.text().strip())
    if request.method != "GET":
        return Response("read with GET, add with POST", 405, {"allow": "GET, POST"})
    if request.path == "/":
        return Response.json([described(entry) for entry in kv.list(("links",))])
    name = request.path.removeprefix("/")
    found = kv.get(("links", int(name))) if name.isascii() and name.isdigit() and len(name) < 10 else None
    if found is None:
        return Response(f"there is no link {name}", 404)
    kv.atomic().sum(("followed", int(name)), 1).commit()
    return Response("", 302, {"location": found.text()})


def shorten(url: str) -> Response:
    if not url.startswith(("https://", "http://")) or len(url) > 2000:
        return Response("send a URL", 422)
    # Somebody else may add one at the same time: then the number is taken, and the next one is tried.
    number = len(kv.list(("links",), limit=1000)) + 1
    while not kv.atomic().check(("links", number)).set(("links", number), url).commit().ok:
        number += 1
    log(f"link {number} leads to {url}")
    return Response(f"{env('LINK_BASE', '')}/{number}\n", 201)


def described(entry: Entry) -> Link:
    number = int(entry.key[1])
    followed = kv.get(("followed", number))
    return Link(number, entry.text(), 0 if followed is None else followed.number())
