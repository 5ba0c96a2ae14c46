"""The conformance program as a script in Python; what it has to answer stands in test_conformance.py."""

import echelon


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


def wrap(value: object) -> object:
    return {"value": value, "ok": True}


calls = 0


def count_up() -> int:
    global calls
    calls += 1
    return calls


def variable(name: str) -> str | None:
    return echelon.env(name)


def note(text: str) -> None:
    echelon.log(text)


def store(name: str, value: str) -> None:
    echelon.kv.set(("conformance", name), value)


def load(name: str) -> str | None:
    return echelon.kv.get(("conformance", name)).value


def forget(name: str) -> None:
    echelon.kv.delete(("conformance", name))


def tally(name: str, n: int) -> int:
    key = ("conformance", "tally", name)
    echelon.kv.atomic().sum(key, n).commit()
    return echelon.kv.get(key).value


def claim(name: str, value: str) -> bool:
    key = ("conformance", name)
    return echelon.kv.atomic().check(key=key, versionstamp=None).set(key, value).commit().ok


def names(limit: int, cursor: str) -> list[str]:
    prefix = ("conformance", "page")
    start = (*prefix, cursor) if cursor else None
    found = [entry.key[2] for entry in echelon.kv.list(prefix, start=start, limit=limit + 1)]
    return [*found[:limit], found[limit] if len(found) > limit else ""]


def parts(name: str) -> str:
    echelon.kv.set(("conformance", name, -7, 0.5, True, b"\0\xff"), "found")
    [entry] = echelon.kv.list(("conformance", name))
    whole, real, truth, data = entry.key[2:]
    return f"{whole} {real} {str(truth).lower()} {len(data)} {entry.value}"


def ask(url: str) -> str:
    answer = echelon.fetch(url)
    return f"{answer.status} {answer.text()}"


def handle(request: echelon.Request) -> echelon.Response:
    said = request.headers.get("x-say") or "nothing"
    text = f"{request.method} {request.path} {request.query_string} {request.text()}"
    return echelon.Response(text, status=201, headers={"x-heard": said})
