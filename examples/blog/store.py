"""Posts, comments and likes in the key-value store."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec

from echelon import Kv
from echelon.kv import U64

VERSION = ("blog", "version")
POSTS = ("blog", "posts")
COMMENTS = ("blog", "comments")
COUNTS = ("blog", "comment-counts")
LIKES = ("blog", "likes")
MOST_COMMENTS = 200
"""Comments on one post."""


class Summary(msgspec.Struct, frozen=True):
    """What the list shows of a post."""

    slug: str
    title: str
    day: date
    lead: str


class Post(msgspec.Struct, frozen=True):
    """A post as it is stored; `text` is what its author wrote."""

    slug: str
    title: str
    day: date
    lead: str
    text: str

    def summary(self) -> Summary:
        """Return the post without its text."""
        return Summary(self.slug, self.title, self.day, self.lead)


class Comment(msgspec.Struct, frozen=True):
    """What a visitor said."""

    name: str
    at: datetime
    text: str


def read(folder: Path) -> list[Post]:
    """Return the posts of a folder: title, day and lead are the first three lines of each file."""
    posts = []
    for path in sorted(folder.glob("*.txt")):
        lines = path.read_text("utf-8").split("\n", 3)
        if len(lines) < 4:
            raise ValueError(
                f"{path}: a post is a title, a day, a lead and a text, each from a line of its own"
            )
        title, day, lead, text = lines
        posts.append(Post(path.stem, title, date.fromisoformat(day), lead, text.strip()))
    return posts


async def publish(kv: Kv, posts: list[Post]) -> bool:
    """Replace the stored posts in one commit, unless they are these already or another worker just did it."""
    version = hashlib.sha256(msgspec.json.encode(posts)).hexdigest()
    stored = await kv.get(VERSION, type=str)
    if stored.value == version:
        return False
    change = kv.atomic().check(stored).set(VERSION, version)
    async for entry in kv.list(prefix=POSTS):
        if entry.key[-1] not in {post.slug for post in posts}:
            change.delete(entry.key)
    for post in posts:
        change.set((*POSTS, post.slug), post)
    return (await change.commit()).ok


async def summaries(kv: Kv) -> list[Summary]:
    """Return all posts without their texts, the newest first."""
    found = [entry.value.summary() async for entry in kv.list(prefix=POSTS, type=Post) if entry.value]
    return sorted(found, key=lambda post: post.day, reverse=True)


async def post(kv: Kv, slug: str) -> Post | None:
    """Return one post, None when there is none."""
    return (await kv.get((*POSTS, slug), type=Post)).value


async def comments(kv: Kv, slug: str) -> list[Comment]:
    """Return what was said of a post, the oldest first."""
    listing = kv.list(prefix=(*COMMENTS, slug), type=Comment)
    return [entry.value async for entry in listing if entry.value is not None]


async def add_comment(kv: Kv, slug: str, name: str, text: str) -> bool:
    """Store a comment under the post's next number; return whether there was room for it."""
    while True:
        count = await kv.get((*COUNTS, slug), type=int)
        number = (count.value or 0) + 1
        if number > MOST_COMMENTS:
            return False
        said = Comment(name, datetime.now(UTC), text)
        change = kv.atomic().check(count).set((*COUNTS, slug), number).set((*COMMENTS, slug, number), said)
        if (await change.commit()).ok:  # otherwise another comment took the number first
            return True


async def likes(kv: Kv, slug: str) -> int:
    """Return how many like a post."""
    return (await kv.get((*LIKES, slug), type=int)).value or 0


async def like(kv: Kv, slug: str) -> int:
    """Count one more; the store adds up, however many workers count at once."""
    await kv.atomic().sum((*LIKES, slug), U64(1)).commit()
    return await likes(kv, slug)
