"""The conformance program in typed Python; what it has to answer stands in test_conformance.py."""

from echelon.guest import Request, Response, env, fetch, kv, log


def echo_i8(n: int) -> int:
    return n


def echo_i16(n: int) -> int:
    return n


def echo_i32(n: int) -> int:
    return n


def echo_i64(n: int) -> int:
    return n


def echo_u8(n: int) -> int:
    return n


def echo_u16(n: int) -> int:
    return n


def echo_u32(n: int) -> int:
    return n


def echo_u64(n: int) -> int:
    return n


def echo_f32(n: float) -> float:
    return n


def echo_f64(n: float) -> float:
    return n


def negate(on: bool) -> bool:
    return not on


def divide(a: int, b: int) -> int:
    return a // b if (a < 0) == (b < 0) else -(-a // b)


def greet(who: str) -> str:
    return f"Hello, {who}!"


def characters(text: str) -> int:
    return len(text)


def reverse(data: bytes) -> bytes:
    return data[::-1]


def sorted(numbers: list[int]) -> list[int]:
    numbers.sort()
    return numbers


def total(numbers: list[float]) -> float:
    return sum(numbers, 0.0)


def join(words: list[str], by: str) -> str:
    return by.join(words)


def split(text: str, by: str) -> list[str]:
    return text.split(by)


def first(text: str | None) -> str | None:
    return None if text is None else text[:1]


def half(n: float | None) -> float | None:
    return None if n is None else n / 2


def checksum(data: bytes) -> int:
    return sum(data) & 0xFFFF_FFFF


def repeat(text: str, times: int) -> str:
    return text * times


def refuse(why: str) -> None:
    raise ValueError(why)


def spin() -> None:
    while True:
        pass


def variable(name: str) -> str | None:
    return env(name)


def note(text: str) -> None:
    log(text)


def store(name: str, value: str) -> None:
    kv.set(("conformance", name), value)


def load(name: str) -> str | None:
    entry = kv.get(("conformance", name))
    return None if entry is None else entry.text()


def forget(name: str) -> None:
    kv.delete(("conformance", name))


def tally(name: str, n: int) -> int:
    key = ("conformance", "tally", name)
    kv.atomic().sum(key, n).commit()
    entry = kv.get(key)
    assert entry is not None
    return entry.number()


def claim(name: str, value: str) -> bool:
    return kv.atomic().check(("conformance", name), "").set(("conformance", name), value).commit().ok


def names(limit: int, cursor: str) -> list[str]:
    start = ("conformance", "page", cursor) if cursor else None
    found = [entry.key[2] for entry in kv.list(("conformance", "page"), start=start, limit=limit + 1)]
    return [*found[:limit], found[limit] if len(found) > limit else ""]


def parts(name: str) -> str:
    kv.set(("conformance", name, -7, 0.5, True, b"\0\xff"), "found")
    entry = kv.list(("conformance", name))[0]
    key = entry.key
    return f"{key[2]} {key[3]} {key[4].lower()} {len(key[5]) // 2} {entry.text()}"


def ask(url: str) -> str:
    answer = fetch(url)
    return f"{answer.status} {answer.text()}"


def handle(request: Request) -> Response:
    said = request.headers.get("x-say", "nothing")
    text = f"{request.method} {request.path} {request.query_string} {request.text()}"
    return Response(text, 201, {"x-heard": said})
