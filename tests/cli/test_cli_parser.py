"""Argument lists: what is an option, what is a word, and what is said when neither fits."""

from __future__ import annotations

import pytest

from echelon.cli.parser import EVERYTHING, Command, Option, Usage, Word, parse, usage

CALL = Command(
    "call",
    "Call",
    words=(Word("FILE", "a file"), Word("FUNCTION", "a function", "?"), Word("ARGS", "arguments", "*")),
    options=(
        Option(("--allow-env",), "grant", "NAMES", optional=True),
        Option(("--time",), "time", "TIME"),
        Option(("-o", "--out-file"), "out", "FILE"),
        Option(("--how",), "how", "HOW", choices=("a", "b")),
        Option(("--json",), "json"),
    ),
    rest=True,
)
PLAIN = Command("kv get", "Get", words=(Word("KEY", "the key"),))


def test_words_and_options_in_any_order() -> None:
    """Options may stand before, between and after the words."""
    for argv in (
        ["f.ts", "fib", "30", "--json", "--time", "2s"],
        ["--json", "f.ts", "--time=2s", "fib", "30"],
        ["f.ts", "--time", "2s", "fib", "--json", "30"],
    ):
        found = parse(CALL, argv)
        assert (found.file, found.function, found.args) == ("f.ts", "fib", ["30"])
        assert (found.json, found.time, found.allow_env) == (True, "2s", [])


def test_absent_ones() -> None:
    """What was not given is None, False or an empty list."""
    found = parse(CALL, ["f.ts"])
    assert (found.function, found.args, found.json, found.time, found.rest) == (None, [], False, None, None)


def test_an_optional_value_never_swallows_a_word() -> None:
    """A value that may be left out stands after "=" only."""
    found = parse(CALL, ["--allow-env", "f.ts", "--allow-env=A,B", "fib"])
    assert found.allow_env == [EVERYTHING, "A,B"]
    assert (found.file, found.function) == ("f.ts", "fib")


def test_an_empty_list_is_refused() -> None:
    """`--allow-env=$UNSET` must not become a grant of everything."""
    with pytest.raises(Usage, match="--allow-env=: the list is empty"):
        parse(CALL, ["f.ts", "--allow-env="])


@pytest.mark.parametrize("number", ["-1", "-1.5", "-.5", "-1e5", "-inf", "-NaN", "-0x10"])
def test_negative_numbers_are_words(number: str) -> None:
    """A minus and a digit begin a number, not an option."""
    assert parse(CALL, ["f.ts", "f", number, "--json", number]).args == [number, number]
    assert parse(CALL, ["f.ts", "--time", number]).time == number


def test_what_follows_two_dashes_is_kept_apart() -> None:
    """After "--" nothing is an option, and a command that asks for it gets it on its own."""
    found = parse(CALL, ["p.wasm", "--json", "--", "-n", "--time", "--", "x"])
    assert (found.function, found.args, found.json) == (None, [], True)
    assert found.rest == ["-n", "--time", "--", "x"]
    assert parse(PLAIN, ["--", "--key"]).key == "--key"
    assert parse(CALL, ["p.wasm", "--"]).rest == []


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "FILE is missing; write: echelon call FILE [FUNCTION] [ARGS…]"),
        (["f.ts", "--jsn"], "unknown option --jsn; did you mean --json?"),
        (["f.ts", "--zzz=1"], "unknown option --zzz; `echelon call --help` lists them"),
        (["f.ts", "--time"], "--time: expected one argument"),
        (["f.ts", "--how", "c"], "--how: invalid choice"),
        (["f.ts", "--json=1"], "--json: ignored explicit argument"),
        (["f.ts", "--tim", "1"], "unknown option --tim; did you mean --time?"),
    ],
)
def test_mistakes(argv: list[str], message: str) -> None:
    """A mistake is one line that names it and what was meant."""
    with pytest.raises(Usage) as caught:
        parse(CALL, argv)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_one_word_too_many() -> None:
    """A word that nothing takes is named."""
    with pytest.raises(Usage, match="'b' is one argument too many; write: echelon kv get KEY"):
        parse(PLAIN, ["a", "b"])


def test_the_name_of_an_option() -> None:
    """The long flag gives the attribute its name; the short one works too."""
    assert parse(CALL, ["f.ts", "-o", "x"]).out_file == "x"
    with pytest.raises(AttributeError):
        _ = parse(CALL, ["f.ts"]).o


def test_shown() -> None:
    """Help and documentation write an option as it is typed."""
    assert [option.shown for option in CALL.options] == [
        "--allow-env[=NAMES]",
        "--time TIME",
        "-o, --out-file FILE",
        "--how a|b",
        "--json",
    ]


def test_usage_of_a_group() -> None:
    """A group names its commands, in brackets where one runs without being named."""
    group = Command("kv", "Store", commands=(PLAIN, Command("kv list", "List")))
    assert usage(group) == "kv get|list"
    assert usage(Command("kv", "Store", commands=group.commands, default="list")) == "kv [get|list]"
