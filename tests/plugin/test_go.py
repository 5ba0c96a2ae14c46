"""Go: compiled by the real compiler, and called."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from echelon import Limits, Permissions
from echelon.errors import CompileError, PermissionDenied, ToolchainMissing, Trap
from echelon.plugin.compilers.go.compiler import Go
from echelon.plugin.generator import Generator
from echelon.runtime import binary, declarations
from echelon.runtime.core import Runtime
from echelon.runtime.module import Module

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

Load = Callable[[Permissions], Awaitable[Module]]

KIT = """package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"echelon"
	"guest/shapes"
)

type Celsius float64

type Point struct {
	X, Y  int32
	Label string `json:"label,omitempty"`
	Path  []*bool
}

//export three
func three(a []string, b bool) (string, uint8, float64) { return a[0], 7, 1.5 }

//export shown
func shown(numbers []*int8) []*string {
	made := make([]*string, len(numbers))
	for i, number := range numbers {
		if number != nil {
			text := fmt.Sprint(*number)
			made[i] = &text
		}
	}
	return made
}

//export turned
func turned(rows [][]bool) [][]bool {
	for _, row := range rows {
		for i := range row {
			row[i] = !row[i]
		}
	}
	return rows
}

//export moved
func moved(points []Point, by int32) map[string]Point {
	made := map[string]Point{}
	for _, point := range points {
		made[point.Label] = Point{point.X + by, point.Y + by, point.Label + "!", point.Path}
	}
	return made
}

//export counted
func counted(words map[string]uint16) (most map[uint16][]string) {
	most = map[uint16][]string{}
	for word, count := range words {
		most[count] = append(most[count], word)
	}
	return most
}

//export warmer
func warmer(by Celsius, of *Celsius) *Celsius {
	if of == nil {
		return nil
	}
	sum := *of + by
	return &sum
}

//export keys
func keys(value map[string]any) []string {
	return []string{fmt.Sprintf("%T", value["a"]), fmt.Sprintf("%T", value["b"])}
}

//export raw
func raw(value json.RawMessage) (echelon.JSON, error) {
	if !json.Valid(value) {
		return "", errors.New("no JSON")
	}
	return echelon.JSON("[" + string(value) + "]"), nil
}

//export enter
func enter(door string) (bool, error) {
	if door == "cellar" {
		return false, fmt.Errorf("the %s is locked", door)
	}
	return true, nil
}

//export area
func area(side float64) float64 { return shapes.Square(side) }

//export many
func many(a uint8, b int16, c *bool, d string, e *int64, f float32, g []uint16, h int, i uint, k bool) string {
	return fmt.Sprint(a, b, *c, d, *e, f, g, h, i, k)
}

//export parallel
func parallel(count int) (sum int) {
	var group sync.WaitGroup
	results := make(chan int, count)
	for i := range count {
		group.Go(func() { results <- i })
	}
	group.Wait()
	close(results)
	for each := range results {
		sum += each
	}
	return sum
}

//export stuck
func stuck() int { return <-make(chan int) }

//export pick
func pick(values []int32, index int) int32 {
	return values[index]
}

//export follow
func follow() int32 {
	var point *Point
	return point.X
}

//export custom
func custom() { panic(fmt.Errorf("no bread %s", "today")) }

//export failing
func failing() {
	echelon.Fail("no 🦊")
}

//export variable
func variable(name string) string { return os.Getenv(name) }

//export changed
func changed() string {
	os.Setenv("OWN", "mine")
	value, found := os.LookupEnv("OWN")
	os.Unsetenv("OWN")
	variables := os.Environ()
	slices.Sort(variables)
	return fmt.Sprint(value, found, ", own ", os.Getenv("OWN"), " of ", strings.Join(variables, " "))
}

//export content
func content(path string) (string, error) {
	found, err := os.ReadFile(path)
	return strings.ToUpper(string(found)), err
}

//export grow
func grow() int {
	var kept [][]byte
	for {
		kept = append(kept, make([]byte, 1<<20))
	}
}

//export garbage
func garbage(data []byte) []byte { return append(append([]byte{}, data...), data...) }

func main() {}
"""
SHAPES = {
    "shapes/square.go": "package shapes\n\nfunc Square(side float64) float64 { return power(side) }\n",
    "shapes/power.go": "package shapes\n\nfunc power(n float64) float64 { return n * n }\n",
    "shapes/power_test.go": "package shapes\n\nthis is no Go\n",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def generator(go_home: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Generator]:
    """A running generator, with an empty store."""
    async with Generator([Go(go_home)], tmp_path_factory.mktemp("artifacts") / "store") as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def load(generator: Generator) -> AsyncIterator[Load]:
    """What loads the program above with permissions."""
    made = await generator.compile({"main.go": KIT, **SHAPES}, language="go")
    async with Runtime() as runtime:

        async def load(permissions: Permissions) -> Module:
            return await runtime.load(made.wasm, permissions=permissions, limits=Limits(memory="48MiB"))

        yield load


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guest(load: Load) -> Module:
    """The program above without any permission."""
    return await load(Permissions())


async def test_values_of_every_kind(guest: Module) -> None:
    """Lists, options, records, maps, several results and named types cross both ways."""
    assert await guest.call("three", ["a"], True) == ("a", 7, 1.5)
    assert await guest.call("shown", [1, None, -5]) == ["1", None, "-5"]
    assert await guest.call("turned", [[True], [], [False, True]]) == [[False], [], [True, False]]
    point = {"X": 1, "Y": 2, "label": "größer", "Path": [True, None]}
    assert await guest.call("moved", [point], 10) == {
        "größer": {"X": 11, "Y": 12, "label": "größer!", "Path": [True, None]}
    }
    assert await guest.call("counted", {"a": 2, "🦊": 1}) == {2: ["a"], 1: ["🦊"]}
    assert await guest.call("warmer", 0.5, 20.0) == 20.5
    assert await guest.call("warmer", 0.5, None) is None
    assert await guest.call("keys", {"a": [1], "b": {"c": None}}) == [
        "[]interface {}",
        "map[string]interface {}",
    ]
    assert await guest.call("raw", {"a": 1}) == [{"a": 1}]
    said = await guest.call("many", 255, -3, True, "d", -(1 << 63), 0.5, [1, 65535], -4, (1 << 64) - 1, False)
    assert said == f"255 -3 trued{-(1 << 63)} 0.5 [1 65535] -4 {(1 << 64) - 1} false"


async def test_signatures_are_those_of_the_source(guest: Module) -> None:
    """Callers see names and types, and what the kit exports for itself they do not."""
    found = {function.name: str(function) for function in guest.exports()}
    assert found["moved"] == (
        "moved(points: list<record{X:i32,Y:i32,label:str,Path:list<option<bool>>}>, by: i32)"
        " -> map<str,record{X:i32,Y:i32,label:str,Path:list<option<bool>>}>"
    )
    assert found["warmer"] == "warmer(by: f64, of: option<f64>) -> option<f64>"
    assert found["enter"] == "enter(door: str) -> bool"
    assert found["failing"] == "failing()"
    assert "echelon_alloc" not in found


async def test_packages_of_the_source(guest: Module) -> None:
    """Folders are packages; files of tests are not compiled."""
    assert await guest.call("area", 3.0) == 9.0


@pytest.mark.parametrize(
    ("function", "arguments", "message", "place"),
    [
        ("enter", ("cellar",), "the cellar is locked", ""),
        ("pick", ([1], 5), "runtime error: index out of range [5] with length 1", "return values[index]"),
        ("follow", (), "runtime error: invalid memory address or nil pointer dereference", "return point.X"),
        ("custom", (), "no bread today", "panic(fmt"),
        ("failing", (), "no 🦊", 'echelon.Fail("no'),
        ("stuck", (), "all goroutines are asleep - deadlock!", ""),
        ("grow", (), "out of memory", ""),
    ],
)  # fmt: skip
async def test_what_ends_a_call(
    guest: Module, function: str, arguments: tuple[object, ...], message: str, place: str
) -> None:
    """Errors, panics and what the runtime cannot go on from are told, with the line of the source."""
    with pytest.raises(Trap) as caught:
        await guest.call(function, *arguments)
    line = KIT[: KIT.index(place)].count("\n") + 1
    where = f" (main.go:{line})" if place else ""
    assert str(caught.value).startswith(f"the guest aborted: {message}{where}")


async def test_goroutines(guest: Module) -> None:
    """They run within the call."""
    assert await guest.call("parallel", 100) == 4950


async def test_the_library_obeys_the_permissions(load: Load, tmp_path: Path) -> None:
    """A variable and a file are read where they are granted, by Go's own functions."""
    (tmp_path / "a.txt").write_text("größer")
    granted = await load(Permissions(env=["COLOUR"], read=[str(tmp_path)]))
    assert (await granted.run("variable", "COLOUR", env={"COLOUR": "blue"})).value == "blue"
    assert await granted.call("content", str(tmp_path / "a.txt")) == "GRÖßER"
    with pytest.raises(PermissionDenied, match="--allow-env=SECRET"):
        await granted.call("variable", "SECRET")
    with pytest.raises(PermissionDenied, match="--allow-read"):
        await granted.call("content", "/etc/passwd")


async def test_variables_of_its_own(guest: Module, load: Load) -> None:
    """What a guest sets itself needs no grant; all of them do."""
    with pytest.raises(PermissionDenied, match="--allow-env"):
        await guest.call("changed")
    granted = await load(Permissions(env=True))
    said = (await granted.run("changed", env={"A": "1"})).value
    assert said.startswith("minetrue, own  of A=1 ")
    assert "OWN=" not in said


async def test_a_kept_instance_does_not_grow(guest: Module) -> None:
    """What calls leave behind is collected."""
    async with guest.instance() as live:
        data = bytes(range(256)) * 1000
        for _ in range(300):
            assert await live.call("garbage", data) == data * 2


@pytest.mark.parametrize(
    ("source", "line", "column", "message"),
    [
        ("//export f\nfunc f(n int) int { return n * two }\n", 4, 32, "undefined: two"),
        ("//export f\nfunc f(n int) int { return n * ; }\n", 4, 32, "expected operand"),
        ("//export f\nfunc f() {\n\tx := 1\n}\n", 5, 2, "declared and not used: x"),
        ('import "fmt"\n\n//export f\nfunc f() {}\n', 3, 8, '"fmt" imported and not used'),
        ('import "net/http"\n\n//export f\nfunc f() {}\n', 3, 8, "a guest has no sockets; use echelon.Fetch"),
        ('import "os/exec"\n\n//export f\nfunc f() {}\n', 3, 8, "a guest has no processes"),
        ('import "github.com/a/b"\n\n//export f\nfunc f() {}\n', 3, 8, "github.com/a/b is not here: a guest has"),
        ('import "internal/abi"\n\n//export f\nfunc f() {}\n', 3, 8, "internal package internal/abi not allowed"),
        ('import "./lib"\n\n//export f\nfunc f() {}\n', 3, 8, 'as in "guest/lib"'),
        ('import "C"\n\n//export f\nfunc f() {}\n', 3, 8, "no cgo"),
        ("func f() {}\n", 1, 1, "the source exports no function; write //export NAME above one"),
        ("//export f\nfunc f(c chan int) {}\n", 4, 8, "chan int cannot cross; there are bool, numbers"),
        ("//export f\nfunc f() error {\n\treturn 1\n}\n", 5, 9, "cannot use 1"),
        ("//export f\nfunc f() (int, complex128) { return 1, 2 }\n", 4, 16, "complex128 cannot cross"),
        ("type T struct{ Next []T }\n\n//export f\nfunc f(t T) {}\n", 6, 8, "main.T contains itself"),
        ("//export f\nfunc f(p **int) {}\n", 4, 8, "a pointer to a pointer cannot cross"),
        ("//export f\nfunc f(m map[[2]int]int) {}\n", 4, 8, "[2]int cannot cross"),
        ("//export f\nfunc f(a ...int) {}\n", 4, 6, "f takes any number of arguments; take a slice"),
        ("//export f\nfunc f[T any](t T) {}\n", 4, 6, "a function with type parameters cannot be exported"),
        ("type T int\n\n//export f\nfunc (t T) f() {}\n", 6, 12, "a method cannot be exported"),
        ("//go:linkname f os.none\nfunc f()\n", 3, 1, "cannot link to names of other packages"),
        ("func g() int\n\n//export f\nfunc f() int { return g() }\n", 3, 6, "missing function body"),
        ("//export f g\nfunc f() {}\n", 3, 1, '"f g" is no name of an export'),
        ("//export f\nfunc f() {}\n\n//export f\nfunc g() {}\n", 6, 1, "f is exported twice"),
    ],
)  # fmt: skip
async def test_what_is_wrong_and_where(
    generator: Generator, source: str, line: int, column: int, message: str
) -> None:
    """Every error has the place in the source, and what to do where Go does not say it."""
    with pytest.raises(CompileError) as caught:
        await generator.compile({"main.go": f"package main\n\n{source}"}, language="go")
    first = caught.value.diagnostics[0]
    assert message in first.message
    assert (first.file, first.line, first.column) == ("main.go", line, column)


async def test_several_errors_at_once(generator: Generator) -> None:
    """All of a package are told, also those of another file."""
    with pytest.raises(CompileError) as caught:
        await generator.compile(
            {
                "main.go": "package main\n\nfunc f() int { return a }\n",
                "b.go": "package main\n\nvar x int = b\n",
            },
            language="go",
        )
    found = {(item.file, item.line, item.message) for item in caught.value.diagnostics}
    assert found == {("main.go", 3, "undefined: a"), ("b.go", 3, "undefined: b")}


async def test_packages_that_import_each_other(generator: Generator) -> None:
    """A cycle is an error at the import that closes it."""
    files = {
        "main.go": 'package main\n\nimport _ "example.com/app/a"\n\n//export f\nfunc f() {}\n',
        "go.mod": "module example.com/app\n\ngo 1.27\n",
        "a/a.go": 'package a\n\nimport _ "example.com/app/b"\n',
        "b/b.go": 'package b\n\nimport _ "example.com/app/a"\n',
    }
    with pytest.raises(CompileError) as caught:
        await generator.compile(files, language="go")
    [problem] = caught.value.diagnostics
    assert (problem.file, problem.line) == ("b/b.go", 3)
    assert problem.message.startswith(
        "import cycle not allowed: example.com/app/a imports example.com/app/b imports"
    )


async def test_another_package_than_main(generator: Generator) -> None:
    """A guest is a program."""
    with pytest.raises(CompileError, match="a guest is a package main, not lib"):
        await generator.compile("package lib\n", language="go")


async def test_a_path_brings_the_packages_that_it_imports(generator: Generator, tmp_path: Path) -> None:
    """Of its own folder only the file itself counts, of the packages below it all files."""
    (tmp_path / "main.go").write_text(
        'package main\n\nimport "guest/shapes"\n\n//export area\n'
        "func area(n float64) float64 { return shapes.Square(n) }\n"
    )
    (tmp_path / "other.go").write_text("package other\n")
    (tmp_path / "shapes").mkdir()
    for name, text in SHAPES.items():
        (tmp_path / name).write_text(text)
    made = await generator.compile(tmp_path / "main.go")
    found = declarations.read(made.wasm, binary.parse(made.wasm))
    assert found is not None
    assert [str(function) for function in found.exports.values()] == ["area(n: f64) -> f64"]


async def test_names_can_be_left_out(generator: Generator) -> None:
    """The section with the names of functions is there on request only."""
    source = "package main\n\n//export f\nfunc f() {}\n"
    named = await generator.compile(source, language="go")
    bare = await generator.compile(source, language="go", names=False)
    assert "name" in binary.parse(named.wasm).custom
    assert "name" not in binary.parse(bare.wasm).custom


async def test_without_the_toolchain(tmp_path: Path) -> None:
    """The error says what to type."""
    async with Generator([Go(tmp_path)], tmp_path / "store") as generator:
        with pytest.raises(ToolchainMissing, match="type: echelon toolchain install go"):
            await generator.compile("package main\n", language="go")
