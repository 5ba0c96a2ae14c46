"""V8 values against V8 itself: Deno (wire version 16) and Node 20 (15) read what is written here, and the reverse."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from array import array
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from deno_peer import Deno
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_v8 import same

from echelon.errors import KvValueError
from echelon.kv import v8
from echelon.kv.v8 import JsError, JsRegExp

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEARS = st.integers(-62_135_596_800_000, 253_402_300_799_999)
TEXT = st.text(max_size=8) | st.text(st.characters(categories=["Cs", "Ll"]), max_size=3).map(
    lambda text: text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
)
HASHABLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**200), 2**200),
    st.floats(allow_nan=False),
    TEXT,
    st.binary(max_size=9),
    YEARS.map(lambda ms: EPOCH + timedelta(milliseconds=ms)),
)
ARRAYS = st.one_of(
    *[
        st.lists(st.integers(-(1 << bits - 1) if signed else 0, (1 << bits - signed) - 1), max_size=4).map(
            lambda items, code=code: array(code, items)  # type: ignore[misc]  # the default binds the loop's value
        )
        for code, bits, signed in (
            ("b", 8, 1), ("h", 16, 1), ("H", 16, 0), ("i", 32, 1), ("I", 32, 0), ("q", 64, 1), ("Q", 64, 0)
        )
    ],
    st.lists(st.floats(width=32, allow_nan=False), max_size=4).map(lambda items: array("f", items)),
    st.lists(st.floats(allow_nan=False), max_size=4).map(lambda items: array("d", items)),
)  # fmt: skip
LEAVES = st.one_of(
    HASHABLE,
    st.floats(),
    ARRAYS,
    st.builds(JsRegExp, st.sampled_from(["a", "[é€]", r"\d+"]), st.sampled_from(["", "gi", "dmsuy", "v"])),
)
KEYS = HASHABLE | st.tuples(HASHABLE, TEXT) | st.frozensets(HASHABLE, max_size=2)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(TEXT, inner, max_size=4),
        st.dictionaries(KEYS, inner, max_size=3),
        st.sets(KEYS, max_size=4),
    ),
    max_leaves=12,
)

IN_DENO = """
return argument.wires.map((wire, index) => {
    const built = tools.build(tools.describe(argument.values[index]));
    return [tools.isDeepStrictEqual(tools.deserialize(wire), argument.values[index]), tools.serialize(built)];
});
"""
IN_NODE = """
const v8 = require("node:v8");
const plain = (value) => {
    const serializer = new v8.Serializer();
    serializer.writeHeader();
    serializer.writeValue(value);
    return serializer.releaseBuffer();
};
const wires = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const values = wires.map((wire) => new v8.Deserializer(Buffer.from(wire, "base64")))
    .map((reader) => (reader.readHeader(), reader.readValue()));
const written = values.map((value) => [plain, v8.serialize].map((write) => write(value).toString("base64")));
console.log(JSON.stringify(written));
"""


def in_base64(value: Any) -> str:
    return base64.b64encode(v8.encode(value)).decode()


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
@given(st.lists(VALUES, min_size=8, max_size=40))
async def test_values_in_deno(deno: Deno, values: list[Any]) -> None:
    """Deno finds any value deeply equal to its own, and what Deno writes is that value here."""
    answers = await deno.run(IN_DENO, {"values": values, "wires": [in_base64(value) for value in values]})
    for value, (equal, wire) in zip(values, answers, strict=True):
        assert equal, value
        assert same(v8.decode(base64.b64decode(wire)), value)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(VALUES, min_size=20, max_size=60))
def test_values_in_node(values: list[Any]) -> None:
    """Node reads version 15, and what it writes is read here, also with its own way to write bytes."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    wires = json.dumps([in_base64(value) for value in values])
    done = subprocess.run([node, "-e", IN_NODE], input=wires, capture_output=True, text=True, check=True)
    for value, written in zip(values, json.loads(done.stdout), strict=True):
        for wire in written:
            assert same(v8.decode(base64.b64decode(wire)), value)


IN_JAVASCRIPT: list[tuple[str, Any]] = [
    ("undefined", None),
    ("[1, , 3]", [1.0, None, 3.0]),
    ("Object.assign([1], {extra: 2})", [1.0]),
    ("new Array(3)", [None, None, None]),
    ("new Array(5).fill('x')", ["x"] * 5),
    ("[new Boolean(true), Object(5n), new Number(2), new String('€')]", [True, 5, 2.0, "€"]),
    ("new Date(NaN)", None),
    ("new Uint8Array([1, 2, 3]).subarray(1)", b"\2\3"),
    ("new Uint8ClampedArray([1, 300])", b"\1\xff"),
    ("new DataView(new Uint8Array([1, 2, 3]).buffer, 1)", b"\2\3"),
    ("new ArrayBuffer(2)", b"\0\0"),
    ("new Uint8Array(new ArrayBuffer(2, {maxByteLength: 9}))", b"\0\0"),
    ("new Float16Array([1.5, -2])", [1.5, -2.0]),
    ("new RangeError('bad', {cause: {a: 1n}})", ("RangeError", "bad", {"a": 1})),
    ("new AggregateError([1], 'many')", ("Error", "many", None)),
    ("new (class Point { x = 1n })()", {"x": 1}),
    ("[new Deno.KvU64(5n)]", [{"value": 5}]),
    ("(() => { const o = {a: 1}; return [o, o]; })()", [{"a": 1.0}, {"a": 1.0}]),
    ("new Map([[{}, 1]])", [({}, 1.0)]),
    ("new Set([1, 1n, true])", [1.0, 1, True]),
    ("new Set([[1, [2]], new Set([3])])", {(1.0, (2.0,)), frozenset({3.0})}),
    ("({1: 'a', 4294967295: 'b', '-1': 'c', 01: 'd'})", {"1": "d", "4294967295": "b", "-1": "c"}),
    ("Object.create(null)", {}),
    ("({[Symbol()]: 1, get a() { return 2n; }})", {"a": 2}),
]


@pytest.mark.parametrize(("code", "value"), IN_JAVASCRIPT)
async def test_values_of_javascript(deno: Deno, code: str, value: Any) -> None:
    """What only JavaScript has comes as the nearest value of Python."""
    decoded = v8.decode(base64.b64decode(await deno.run(f"return tools.serialize({code});")))
    if isinstance(decoded, JsError):
        assert (decoded.name, decoded.message, decoded.cause) == value
        assert "at " in str(decoded.stack)
    else:
        assert same(decoded, value)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("const a = []; a.push(a); return tools.serialize(a);", "contains itself"),
        ("return tools.serialize(new Blob(['x']));", "object of its host"),
        ("return tools.serialize(new Array(2 ** 31));", "too large"),
        ("return tools.serialize(new Date(8.64e15));", "outside the years"),
    ],
)
async def test_values_only_javascript_has(deno: Deno, code: str, reason: str) -> None:
    """What Python cannot hold is refused with the reason."""
    wire = base64.b64decode(await deno.run(code))
    with pytest.raises(KvValueError, match=reason):
        v8.decode(wire)


async def test_errors_written_here(deno: Deno) -> None:
    """An Error written here is one in Deno, with its class, message, stack and cause."""
    wires = [in_base64(JsError("TypeError", "bad€", "at home", {"a": 1})), in_base64(JsError())]
    code = """
    const [error, empty] = argument.map(tools.deserialize);
    return [error instanceof TypeError, error.message, error.stack, error.cause, empty.message, empty.stack];
    """
    assert await deno.run(code, wires) == [True, "bad€", "at home", {"a": 1}, "", None]
