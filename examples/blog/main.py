"""A blog: pages in TSX, comments and likes in the key-value store, texts that a guest takes apart.

echelon run examples/blog/main.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from echelon import JSON, Application, HTTPError, Kv, Limits, Redirect, Request, Response
from echelon.http import Form
from echelon.middleware import Compression, SecurityHeaders
from echelon.types import CallNext

from . import store
from .store import Comment, Post
from .texts import Block, checked

HERE = Path(__file__).parent
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=40, pattern=r"\S"), Form()]
Message = Annotated[str, msgspec.Meta(min_length=1, max_length=2000, pattern=r"\S"), Form()]

app = Application()
app.middleware(SecurityHeaders())
app.middleware(Compression())
texts = app.wasm.module(
    HERE / "guests" / "texts.js", limits=Limits(memory="16MiB", time="200ms", output="1MiB")
)


class Home(msgspec.Struct):
    """What the list of posts shows."""

    posts: list[store.Summary]


class Shown(msgspec.Struct):
    """What the page of a post shows: texts are blocks, `comments` beside the blocks of each."""

    post: store.Summary
    body: list[Block]
    comments: list[tuple[Comment, list[Block]]]
    likes: int


async def home(kv: Kv) -> Home:
    """Load the list of posts."""
    return Home(await store.summaries(kv))


async def show(slug: str, kv: Kv) -> Shown | None:
    """Load a post with what was said of it; the guest takes all texts apart in one call."""
    post = await store.post(kv, slug)
    if post is None:
        return None
    comments = await store.comments(kv, slug)
    body, *said = checked(await texts.blocks([post.text, *(comment.text for comment in comments)]))
    return Shown(post.summary(), body, list(zip(comments, said, strict=True)), await store.likes(kv, slug))


app.pages(HERE / "pages", props={"/": home, "/posts/{slug}": show})


@app.on_start
async def publish() -> None:
    """Put the posts of the folder into the store."""
    await store.publish(app.kv, store.read(HERE / "posts"))


@app.middleware
async def same_site(request: Request, call_next: CallNext) -> Response:
    """Refuse what a page of another site sends in a visitor's name."""
    if request.method == "POST" and request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise HTTPError(403, "this form was sent by another site")
    return await call_next(request)


@app.post("/posts/{slug}/comments", max_body=32 * 1024)
async def comment(slug: str, name: Name, text: Message, kv: Kv) -> Redirect:
    """Add a comment; the answer is the way back to the post, for forms and for scripts alike."""
    await _existing(kv, slug)
    if not await store.add_comment(kv, slug, name.strip(), text.strip()):
        raise HTTPError(409, f"there are {store.MOST_COMMENTS} comments already; no more are taken")
    return Redirect(f"/posts/{slug}#comments", 303)


@app.post("/posts/{slug}/like")
async def like(slug: str, request: Request, kv: Kv) -> Response:
    """Count one more; a script gets the count, a form the way back to the post."""
    await _existing(kv, slug)
    count = await store.like(kv, slug)
    if request.headers.get("accept", "").startswith("application/json"):
        return JSON({"likes": count})
    return Redirect(f"/posts/{slug}#likes", 303)


async def _existing(kv: Kv, slug: str) -> Post:
    post = await store.post(kv, slug)
    if post is None:
        raise HTTPError(404, f"there is no post {slug}")
    return post
