"""Every command of `echelon`, with its arguments and options: help, documentation and tests follow from it."""

from __future__ import annotations

from typing import Final

from echelon.cli.parser import Command, Option, Word

_HOME: Final = "echelon.cli.commands"

_JSON: Final = Option(("--json",), "write the result as JSON")
_LANGUAGE: Final = Option(("--language",), "the source's language, where its suffix does not say", "NAME")
_FILE: Final = Word("FILE", "a .wasm or .wat file, or source in a language the generator knows")
_STORES: Final = (
    Option(
        ("--store",),
        "its file, or a postgres:// or https:// URL; without it the store of the project's configuration",
        "WHERE",
    ),
    Option(
        ("--format",), "layout of the file; deno is that of Deno KV", "FORMAT", choices=("echelon", "deno")
    ),
    Option(("--token",), "access token of a KV Connect server (default ECHELON_KV_TOKEN)", "TOKEN"),
)
_MAX_VALUE: Final = Option(("--max-value",), "the largest value to accept (default 64KiB)", "SIZE")
_CONFIG: Final = Option(("--config",), "configuration file instead of ./echelon.toml", "FILE")

_ALLOW: Final = {
    "net": ("HOSTS", "let the guest reach these hosts (example.com, *.example.com:443), or all"),
    "read": ("PATHS", "let it read these files and folders, or all"),
    "write": ("PATHS", "let it write these files and folders, or all"),
    "env": ("NAMES", "let it know these environment variables (HOME, APP_*), or all"),
    "sys": ("NAMES", "let it know these facts about the host (clock, locale), or all"),
    "kv": ("PREFIXES", "let it use these key prefixes of the store (users, users/eu), or all"),
    "import": ("HOSTS", "let code be loaded from these hosts, or all"),
}
_PERMISSIONS: Final = tuple(
    Option((f"--allow-{kind}",), help, value, optional=True) for kind, (value, help) in _ALLOW.items()
) + tuple(
    Option((f"--deny-{kind}",), f"deny these, whatever --allow-{kind} grants", value, optional=True)
    for kind, (value, _) in _ALLOW.items()
)
_LIMITS: Final = (
    Option(("--memory",), "memory of the call (default 64MiB)", "SIZE"),
    Option(("--time",), "time of the call, host functions included (default 1s)", "TIME"),
    Option(("--fuel",), "instructions of the call; counted only when set", "COUNT"),
    Option(("--stack",), "stack of the call (default 512KiB)", "SIZE"),
    Option(("--output",), "bytes the call may print or return (default 1MiB)", "SIZE"),
    Option(("--host-calls",), "host functions the call may use (default 10000)", "COUNT"),
)

RUN: Final = Command(
    "run",
    "Serve an application",
    f"{_HOME}.run",
    words=(Word("TARGET", "main.py, module:app or main.py:app; without it ./main.py, else ./app.py", "?"),),
    options=(
        Option(("--host",), "address to listen on (default 127.0.0.1)", "ADDRESS"),
        Option(("--port",), "port to listen on (default 8000); 0 takes a free one", "PORT"),
        Option(("--workers",), "worker processes (default 1)", "COUNT"),
        Option(("--reload",), "start again when a source file changes"),
        _CONFIG,
    ),
    examples=("echelon run", "echelon run main.py --reload", "echelon run shop.main:app --workers 4"),
    notes=(
        "Options win over ECHELON_* variables, these over echelon.toml. Without a token in the configuration one is"
        " made for this run and printed, so that the control API can be used."
    ),
)
BUILD: Final = Command(
    "build",
    "Compile a source file to WebAssembly, or ahead what an application compiles",
    f"{_HOME}.build",
    words=(
        Word(
            "SRC",
            "a source, with what it imports from its own folder; or an application as main.py:app or module:app;"
            " without it that in ./main.py, else ./app.py",
            "?",
        ),
    ),
    options=(
        Option(
            ("-o", "--output"),
            'where to write the module (default SRC with .wasm); "-" is standard output',
            "OUT",
        ),
        _LANGUAGE,
        Option(
            ("--optimize",), "what to optimise for (default none)", "HOW", choices=("size", "speed", "none")
        ),
        Option(("--names",), "keep what errors show, functions and lines, also when optimising for size"),
        Option(("--no-names",), "leave them out, also when not optimising for size"),
        Option(("--debug",), "keep what a debugger reads, where the compiler writes it"),
        Option(
            ("--option",), "an option of the language; may be given several times", "NAME=VALUE", many=True
        ),
        Option(("--stub",), "write a .pyi for type checkers beside the module, too"),
        _CONFIG,
    ),
    examples=(
        "echelon build",
        "echelon build shop.main:app",
        "echelon build fib.ts",
        "echelon build fib.ts -o out/fib.wasm --optimize size",
        "echelon build widget.ts --option semantics=javascript",
        "echelon build fib.ts --stub",
    ),
    notes=(
        "Prints the path of the module. A compiled module is kept, so building it again takes no time.\n\n"
        "For an application it prints the folder with its pages and modules (the setting build, by default"
        " .echelon/build). Served without debug, the application takes them from there and needs no compiler."
    ),
)
CALL: Final = Command(
    "call",
    "Call a function of a module in a fresh sandbox and print its value",
    f"{_HOME}.call",
    words=(
        _FILE,
        Word("FUNCTION", "the export to call; left out for a WASI command", "?"),
        Word("ARGS", "its arguments, read by the types of its signature", "*"),
    ),
    options=(
        *_PERMISSIONS,
        Option(("--permissions",), "grant this named set of echelon.toml, too", "NAME"),
        Option(("--no-prompt",), "never ask whether the guest may have what it was not granted"),
        Option(("--trace-permissions",), "say which permissions the run used, as options to paste"),
        *_LIMITS,
        Option(("--store",), "the store that --allow-kv is about; without it the project's", "FILE"),
        _LANGUAGE,
        _CONFIG,
        _JSON,
    ),
    examples=(
        "echelon call fib.ts fib 30",
        "echelon call report.ts build 2026 --allow-read=./data --time 5s",
        "echelon call grep.wasm -- -n pattern < log.txt",
    ),
    notes=(
        "Numbers and true or false are written plainly, text as it is, bytes as base64 or @FILE, lists and optional"
        " values as JSON. Nothing is granted unless an --allow option or a set grants it; lists are separated by"
        " commas. On a terminal you are asked for what else the guest wants.\n\n"
        "Without FUNCTION the file is run as a WASI command: what follows -- are its arguments, standard input is"
        " passed on when it is not a terminal. With FUNCTION, what follows -- are further arguments."
    ),
    rest=True,
)
INSPECT: Final = Command(
    "inspect",
    "Show what a module exports, imports and needs",
    f"{_HOME}.inspect",
    words=(_FILE,),
    options=(
        _LANGUAGE,
        _JSON,
        Option(("--wit",), "write the interface as WIT, the language of the component model"),
    ),
    examples=(
        "echelon inspect fib.ts",
        "echelon inspect plugin.wasm --json",
        "echelon inspect fib.ts --wit > fib.wit",
    ),
)
CONFIG: Final = Command(
    "config",
    "Show every setting, its value and where it came from",
    f"{_HOME}.config",
    options=(_JSON, Option(("--show-secrets",), "show secrets, which are hidden otherwise"), _CONFIG),
)
DOCTOR: Final = Command(
    "doctor",
    "Check that everything Echelon needs is here and works",
    f"{_HOME}.doctor",
    options=(_JSON, _CONFIG),
    notes="The exit status is 1 when something needed is broken; what is merely optional only gets a remark.",
)
KV: Final = Command(
    "kv",
    "Read and write a key-value store",
    commands=(
        Command(
            "kv get",
            "Print the value under a key as JSON",
            f"{_HOME}.kv",
            words=(Word("KEY", "the key"),),
            options=(*_STORES, Option(("--json",), "key, value and versionstamp as JSON")),
        ),
        Command(
            "kv set",
            "Store a value",
            f"{_HOME}.kv",
            words=(
                Word("KEY", "the key"),
                Word("VALUE", 'the value as JSON; "-" reads it from standard input'),
            ),
            options=(
                Option(("--expire-in",), 'forget it after this time, such as "90s" or "1h"', "TIME"),
                *_STORES,
                _MAX_VALUE,
            ),
        ),
        Command(
            "kv delete",
            "Remove what is stored under a key",
            f"{_HOME}.kv",
            words=(Word("KEY", "the key"),),
            options=_STORES,
        ),
        Command(
            "kv list",
            "Print keys and values, one entry a line",
            f"{_HOME}.kv",
            words=(Word("PREFIX", "only keys that begin with this one", "?"),),
            options=(
                Option(("--start",), "the first key, included", "KEY"),
                Option(("--end",), "where to stop, not included", "KEY"),
                Option(("--limit",), "at most so many entries", "COUNT"),
                Option(("--reverse",), "from the last key to the first"),
                Option(("--keys",), "keys alone"),
                _JSON,
                *_STORES,
            ),
        ),
        Command(
            "kv watch",
            "Print entries, and again whenever they change",
            f"{_HOME}.kv",
            words=(Word("KEY", "the keys, at most 10", "*"),),
            options=(
                Option(("--limit",), "end after so many lines", "COUNT"),
                _JSON,
                *_STORES,
            ),
        ),
        Command(
            "kv export",
            "Write every entry as a line of JSON",
            f"{_HOME}.kv",
            words=(Word("PREFIX", "only keys that begin with this one", "?"),),
            options=_STORES,
        ),
        Command(
            "kv import",
            "Store the entries that `kv export` wrote",
            f"{_HOME}.kv",
            words=(Word("FILE", "the lines; without it standard input", "?"),),
            options=(*_STORES, _MAX_VALUE),
        ),
        Command(
            "kv backup",
            "Copy a store to a new file while it is used",
            f"{_HOME}.kv",
            words=(Word("FILE", "where the copy goes"),),
            options=_STORES,
        ),
        Command("kv check", "Read a whole store and say what is damaged", f"{_HOME}.kv", options=_STORES),
        Command(
            "kv stats",
            "Count entries, messages and bytes",
            f"{_HOME}.kv",
            options=(_JSON, *_STORES),
        ),
        Command(
            "kv serve",
            "Let Deno, Node and other programs use a store over KV Connect",
            f"{_HOME}.kv_serve",
            words=(Word("PATH", "the store's file, or its URL; without it the project's", "?"),),
            options=(
                Option(("--host",), "address to listen on (default 127.0.0.1)", "ADDRESS"),
                Option(("--port",), "port to listen on (default 4512); 0 takes a free one", "PORT"),
                Option(
                    ("--token",),
                    "access token of the clients; without it DENO_KV_ACCESS_TOKEN, else one is made",
                    "TOKEN",
                ),
                Option(("--tls-cert",), "certificate chain, PEM; without it plain HTTP", "FILE"),
                Option(("--tls-key",), "private key of the certificate, PEM", "FILE"),
                Option(
                    ("--format",), "how the file is laid out (default echelon)", "FORMAT", ("echelon", "deno")
                ),
            ),
        ),
    ),
    examples=(
        'echelon kv set users/1 \'{"name": "Ada"}\'',
        "echelon kv get users/1",
        "echelon kv list users --store app.db",
        "echelon kv watch users/1 --store https://kv.example.com --token SECRET",
        "echelon kv export --store old.db | echelon kv import --store new.db",
        "DENO_KV_ACCESS_TOKEN=… echelon kv serve app.db",
    ),
    notes=(
        'A key is written as a path, users/1, in which whole numbers are numbers, or as a JSON array, ["users", 1].'
        ' What JSON lacks is written as an object with one name: {"$bytes": "AAE="}, {"$u64": "5"}.'
    ),
)
TOOLCHAIN: Final = Command(
    "toolchain",
    "List and install the compilers that do not come with Python",
    commands=(
        Command(
            "toolchain list", "Show every language and its compiler", f"{_HOME}.toolchain", options=(_JSON,)
        ),
        Command(
            "toolchain install",
            "Fetch a compiler into Echelon's own folder",
            f"{_HOME}.toolchain",
            words=(Word("LANGUAGE", "which, such as typescript"),),
        ),
        Command(
            "toolchain doctor",
            "Check the compilers and the protections around them",
            f"{_HOME}.doctor",
            options=(_JSON, _CONFIG),
        ),
    ),
    default="list",
)
NEW: Final = Command(
    "new",
    "Begin a project: an application, a guest, a test",
    f"{_HOME}.new",
    words=(Word("NAME", "the folder to make"),),
    examples=("echelon new shop && cd shop && echelon run",),
)

ROOT: Final = Command(
    "echelon",
    "Web applications in Python that compile and run WebAssembly",
    options=(Option(("-V", "--version"), "show the version"),),
    commands=(RUN, BUILD, CALL, INSPECT, CONFIG, DOCTOR, KV, TOOLCHAIN, NEW),
)
