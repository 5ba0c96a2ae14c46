"""Shorten links, check each of them later, and count the dead ones every minute. `echelon run examples/jobs.py`"""

from datetime import timedelta
from urllib.parse import urlsplit

import msgspec

from echelon import Application, HTTPError, Kv, Redirect

app = Application()


class Link(msgspec.Struct):
    url: str
    alive: bool | None = None


@app.post("/links")
async def shorten(link: Link, kv: Kv) -> tuple[dict[str, str], int]:
    """Store a link, and send a message to check it, in one commit."""
    links, commit = kv.collection("links", type=Link), kv.atomic()
    added = await links.add(link, into=commit)
    await app.enqueue("check", added.id, into=commit)
    await commit.commit()
    return {"path": f"/to/{added.id}"}, 201


@app.get("/to/{id}")
async def follow(id: str, kv: Kv) -> Redirect:
    """Lead to where a link leads, unless it is known to lead nowhere."""
    item = await kv.collection("links", type=Link).get(id)
    if item is None or item.value.alive is False:
        raise HTTPError(404, "there is no such link")
    return Redirect(item.value.url)


@app.queue("check", backoff_schedule=[timedelta(seconds=1), timedelta(minutes=1)])
async def check(id: str, kv: Kv) -> None:
    """Note whether a link can lead anywhere; this is where a request to it would be made."""
    links = kv.collection("links", type=Link)
    await links.update(id, lambda link: Link(link.url, alive=bool(urlsplit(link.url).hostname)))


@app.cron("* * * * *")
async def count(kv: Kv) -> None:
    """Count the dead links: one of all workers does it."""
    links = kv.collection("links", type=Link)
    await kv.set(("dead",), len([item async for item in links.list() if item.value.alive is False]))
