"""The configuration: its layers, its kinds of values, its errors."""

from __future__ import annotations

import os
import pickle
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echelon.config import Config, Secret, ServerConfig, TelemetryConfig, WasmConfig, settings
from echelon.config.layers import variable
from echelon.config.lines import key_lines
from echelon.errors import ConfigError
from echelon.runtime.limits import Limits
from echelon.runtime.permissions import Permissions


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(text: str, name: str = "echelon.toml") -> Path:
    file = Path(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def load(text: str = "", environ=None, arguments=None) -> Config:
    return Config.load(write(text), environ or {}, arguments or {})


def refusal(text: str = "", environ=None, arguments=None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(text, environ, arguments)
    assert "\n" not in str(caught.value)
    return caught.value


# --- defaults ---------------------------------------------------------------------------------------------


def test_defaults_are_what_is_documented(tmp_path):
    """Config() needs no file and no environment, and everything written goes below .echelon."""
    config = Config()
    assert (config.server.host, config.server.port, config.server.workers) == ("127.0.0.1", 8000, 1)
    assert (config.state, config.debug) == (tmp_path / ".echelon", False)
    assert config.kv.path == tmp_path / ".echelon/kv.db"
    assert config.wasm.cache == tmp_path / ".echelon/native"
    assert config.generator.cache == tmp_path / ".echelon/artifacts"
    assert config.build == tmp_path / ".echelon/build"
    assert config.wasm.limits == Limits()
    assert config.server.max_body == 16 * 2**20
    assert config.server.shutdown_time == 10.0
    assert not config.console.token
    assert {origin.source for origin in config.origins().values()} == {"default"}


def test_load_without_file_or_variables_is_the_defaults():
    """A missing echelon.toml is no error as long as nobody asked for it."""
    assert Config.load(environ={}) == Config()


def test_every_default_is_valid_as_a_variable_and_shown():
    """Each setting's shown default can be read back through the environment."""
    shown = {row.key: row.value for row in Config().render()}
    assert list(shown) == list(settings())
    for key, value in shown.items():
        if value in ('""', "none"):
            continue
        text = value.strip("[]").strip('"')
        again = Config.load(environ={variable(key): text}).origins()[key]
        assert again.value == Config().origins()[key].value, key
        assert again.source == variable(key)


# --- layers -----------------------------------------------------------------------------------------------


def test_arguments_beat_variables_beat_file_beat_defaults():
    """Each layer overrides the one below it, and origins() says which one won."""
    text = '[server]\nhost = "h1"\nport = 1\nworkers = 2\n'
    config = load(text, {"ECHELON_SERVER_PORT": "3", "ECHELON_SERVER_WORKERS": "4"}, {"server.workers": 5})
    assert (config.server.host, config.server.port, config.server.workers) == ("h1", 3, 5)
    origins = config.origins()
    assert origins["server.host"].source == "echelon.toml:2"
    assert origins["server.port"].source == "ECHELON_SERVER_PORT"
    assert origins["server.workers"].source == "--workers"
    assert origins["server.backlog"].source == "default"
    assert origins["server.port"].value == 3


def test_the_file_of_the_working_directory_is_found():
    """echelon.toml is read when no path is given."""
    write("debug = true")
    config = Config.load(environ={})
    assert config.debug
    assert config.origins()["debug"].source == "echelon.toml:1"


def test_an_argument_that_is_none_was_not_given():
    """A command line passes all its options on, given or not."""
    config = load("[server]\nport = 1", arguments={"server.port": None})
    assert config.server.port == 1


def test_text_arguments_are_read_like_variables():
    """A value that came as text is converted."""
    config = load(arguments={"server.port": "80", "debug": "yes", "wasm.max_time": timedelta(seconds=90)})
    assert (config.server.port, config.debug, config.wasm.max_time) == (80, True, 90.0)


def test_short_variables():
    """ECHELON_TOKEN, ECHELON_STATE and ECHELON_DEBUG need no section."""
    config = load(environ={"ECHELON_TOKEN": "abc", "ECHELON_STATE": "/s", "ECHELON_DEBUG": "1"})
    assert config.console.token == "abc"
    assert config.kv.path == Path("/s/kv.db")
    assert config.debug
    assert config.origins()["console.token"].source == "ECHELON_TOKEN"


def test_two_variables_for_one_setting_must_agree():
    """The short and the long variable of the token may not contradict each other."""
    assert load(environ={"ECHELON_TOKEN": "a", "ECHELON_CONSOLE_TOKEN": "a"}).console.token == "a"
    error = refusal(environ={"ECHELON_TOKEN": "a1b2", "ECHELON_CONSOLE_TOKEN": "c3d4"})
    assert "ECHELON_CONSOLE_TOKEN" in str(error)
    assert "a1b2" not in str(error)
    assert "c3d4" not in str(error)


def test_home_and_other_programs_variables_are_ignored():
    """ECHELON_HOME belongs to the toolchains; a variable without the prefix is nobody's business here."""
    assert load(environ={"ECHELON_HOME": "/x", "ECHELONS": "1", "PATH": "/bin"}) == Config()


def test_variables_default_to_the_process_environment(monkeypatch):
    """Config.load() reads os.environ."""
    monkeypatch.setenv("ECHELON_SERVER_PORT", "4321")
    assert Config.load().server.port == 4321


def test_every_setting_has_a_distinct_variable():
    """No two keys share an environment variable."""
    names = [variable(key) for key in settings()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("word", ["1", "true", "YES", " on "])
def test_words_for_true(word):
    """A flag in the environment may be written in the usual ways."""
    assert load(environ={"ECHELON_DEBUG": word}).debug is True


@pytest.mark.parametrize("word", ["0", "false", "No", "off"])
def test_words_for_false(word):
    """A flag in the environment may be switched off in the usual ways."""
    assert load("debug = true", {"ECHELON_DEBUG": word}).debug is False


def test_lists_in_variables_are_separated_by_commas():
    """A list is a text with commas, an empty text the empty list."""
    config = load(environ={"ECHELON_SERVER_TRUSTED_PROXIES": "10.0.0.0/8, ::1"})
    assert config.server.trusted_proxies == ("10.0.0.0/8", "::1")
    assert load(environ={"ECHELON_SERVER_TRUSTED_PROXIES": ""}).server.trusted_proxies == ()


def test_a_given_path_that_is_missing_is_an_error():
    """A file that was asked for must be there."""
    with pytest.raises(ConfigError, match=r"nowhere\.toml: there is no such file"):
        Config.load("nowhere.toml", {})


def test_a_folder_or_unreadable_file_is_one_clear_error():
    """What cannot be read is said in one line."""
    Path("echelon.toml").mkdir()
    with pytest.raises(ConfigError, match=r"echelon\.toml: cannot be read: Is a directory"):
        Config.load(environ={})


# --- paths ------------------------------------------------------------------------------------------------


def test_paths_in_the_file_are_relative_to_its_folder(tmp_path):
    """A file elsewhere names its own surroundings; variables and arguments name the working directory."""
    write('state = "data"\n[kv]\npath = "db/kv.db"', "etc/echelon.toml")
    config = Config.load("etc/echelon.toml", {})
    assert config.state == tmp_path / "etc/data"
    assert config.kv.path == tmp_path / "etc/db/kv.db"
    assert config.wasm.cache == tmp_path / "etc/data/native"
    assert Config.load("etc/echelon.toml", {"ECHELON_STATE": "data"}).state == tmp_path / "data"
    assert Config.load("etc/echelon.toml", {}, {"state": Path("data")}).state == tmp_path / "data"


def test_home_and_absolute_paths_and_memory_stay_what_they_are(monkeypatch, tmp_path):
    """ "~" is the home folder, ":memory:" a database without a file."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    write('state = "~/e"\n[kv]\npath = ":memory:"\n[wasm]\ncache = "/abs"', "etc/echelon.toml")
    config = Config.load("etc/echelon.toml", {})
    assert config.state == tmp_path / "home/e"
    assert str(config.kv.path) == ":memory:"
    assert config.wasm.cache == Path("/abs")


def test_folders_and_certificates_must_exist(tmp_path):
    """What the server would miss later is missed now, with the key's name."""
    assert "the path of an existing folder" in str(refusal('[server]\nreload_dirs = ["src"]'))
    Path("src").mkdir()
    assert load('[server]\nreload_dirs = ["src"]').server.reload_dirs == (tmp_path / "src",)
    error = refusal('[server]\n\ntls_key = "k.pem"')
    assert str(error).startswith("echelon.toml:3: server.tls_key: ")
    assert "the path of an existing file" in str(error)


def test_a_certificate_needs_its_key(tmp_path):
    """Half of TLS is an error at the line of the half that is there."""
    Path("c.pem").touch()
    error = refusal('[server]\ntls_certificate = "c.pem"')
    assert str(error) == "echelon.toml:2: server.tls_certificate: TLS needs server.tls_key too"
    Path("k.pem").touch()
    server = load('[server]\ntls_certificate = "c.pem"\ntls_key = "k.pem"').server
    assert (server.tls_certificate, server.tls_key) == (tmp_path / "c.pem", tmp_path / "k.pem")


# --- errors name file, line, key, value and what is valid ---------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[server]\nprot = 1", 'echelon.toml:2: server.prot: unknown key; did you mean "server.port"?'),
        ("\n\nport = 1", 'echelon.toml:3: port: unknown key; did you mean "server.port"?'),
        ("[wasm]\nport = 1", 'echelon.toml:2: wasm.port: unknown key; did you mean "server.port"?'),
        (
            "[kv]\n# why\nxyzzy = 1",
            "echelon.toml:3: kv.xyzzy: unknown key; [kv] has path, url, token, format, durability, max_value, "
            "queue_concurrency, cron",
        ),
        ("[telemetri]\n", 'echelon.toml:1: telemetri: unknown key; did you mean "telemetry"?'),
        (
            "[server]\nport = 70000",
            "echelon.toml:2: server.port: 70000 is not a whole number from 0 to 65535",
        ),
        (
            '[server]\nport = "80"',
            'echelon.toml:2: server.port: "80" is not a whole number from 0 to 65535; '
            "write it without quotes",
        ),
        ("[server]\nport = true", "echelon.toml:2: server.port: true is not a whole number from 0 to 65535"),
        ("debug = 1", "echelon.toml:1: debug: 1 is not true or false"),
        ("server = 1", "echelon.toml:1: server: must be a table; write [server]"),
        ("[[server]]\nport = 1", "echelon.toml:1: server: must be a table; write [server]"),
        (
            "[server.port]\nx = 1",
            "echelon.toml:1: server.port: is a table; valid is a whole number from 0 to 65535",
        ),
        (
            "[server]\nhttp = 2",
            'echelon.toml:2: server.http: 2 is not one of "auto", "1", "2"; did you mean "2"?',
        ),
        (
            '[telemetry]\nlog_level = "INFO"',
            'echelon.toml:2: telemetry.log_level: "INFO" is not one of "debug", "info", "warning", "error", '
            '"critical"; did you mean "info"?',
        ),
        (
            '[wasm.limits]\nmemory = "lots"',
            "echelon.toml:2: wasm.limits.memory: 'lots' is not a size; write bytes or \"16MiB\"",
        ),
        (
            "[wasm]\nlimits = { time = -1 }",
            "echelon.toml:2: wasm.limits.time: -1 must be greater than zero and finite",
        ),
        ("[telemetry]\nsample = 1.5", "echelon.toml:2: telemetry.sample: 1.5 is not a number from 0 to 1"),
        ("[telemetry]\nsample = nan", "echelon.toml:2: telemetry.sample: nan is not a number from 0 to 1"),
        (
            '[telemetry]\nendpoint = "collector:4318"',
            'echelon.toml:2: telemetry.endpoint: "collector:4318" is not an http:// or https:// address',
        ),
        (
            '[server]\ntrusted_proxies = "10.0.0.1"',
            'echelon.toml:2: server.trusted_proxies: "10.0.0.1" is not a list, each member an IP address or '
            'a network such as "10.0.0.0/8"; write it as ["…"]',
        ),
        ('[server]\nhost = "a\\nb"', None),
        ('[server]\nhost = ""', None),
        ('state = ""', None),
        ("[wasm]\ninstances = 0", None),
        ("[server]\nbacklog = 1", None),
    ],
)
def test_a_mistake_in_the_file_is_one_clear_line(text, message):
    """The error names file, line, key, value and what would be valid."""
    error = refusal(text)
    if message is not None:
        assert str(error) == message
    assert error.source is not None
    assert str(error).startswith(error.source)
    assert error.key is not None


def test_a_mistake_in_the_environment_names_the_variable():
    """An unknown or bad variable is an error that says which was meant."""
    assert str(refusal(environ={"ECHELON_PORT": "1"})) == (
        'ECHELON_PORT: unknown variable; did you mean "ECHELON_SERVER_PORT"?'
    )
    assert '"ECHELON_TELEMETRY_TRACES"' in str(refusal(environ={"ECHELON_TELEMETRY_TRACE": "otlp"}))
    assert str(refusal(environ={"ECHELON_SERVER_PORT": "abc"})) == (
        'ECHELON_SERVER_PORT: server.port: "abc" is not a whole number from 0 to 65535'
    )
    error = refusal(environ={"ECHELON_SERVER_PORT": ""})
    assert (error.source, error.key) == ("ECHELON_SERVER_PORT", "server.port")


def test_a_mistake_in_an_argument_names_the_option():
    """A bad argument names the option of the command line."""
    assert str(refusal(arguments={"server.port": 70000})).startswith("--port: server.port: 70000 is not")
    assert "did you mean" in str(refusal(arguments={"server.prot": 1}))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a = \n", "echelon.toml:1:5: not TOML"),
        ("[server]\nport = 1\nport = 2\n", "echelon.toml:3:9: not TOML"),
        ("x = " + "[" * 5000, "echelon.toml: nested too deeply"),
        ("x = 'a", "echelon.toml: not TOML"),
    ],
)
def test_broken_toml_says_where(text, place):
    """A file that is not TOML is refused with line and column where these are known."""
    assert str(refusal(text)).startswith(place)


def test_a_file_that_is_not_text_or_too_large_is_refused():
    """Bytes that are not UTF-8 and huge files end in one line, not in a traceback."""
    Path("echelon.toml").write_bytes(b"a = 1\nb = '\xff'\n")
    with pytest.raises(ConfigError, match=r"echelon\.toml:2: is not UTF-8"):
        Config.load(environ={})
    Path("echelon.toml").write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(ConfigError, match="has 1048577 bytes"):
        Config.load(environ={})


def test_a_byte_order_mark_is_no_mistake():
    """Editors on Windows put one there."""
    Path("echelon.toml").write_bytes(b"\xef\xbb\xbfdebug = true\r\n[server]\r\nport = 7\r\n")
    config = Config.load(environ={})
    assert (config.debug, config.server.port) == (True, 7)
    assert config.origins()["server.port"].source == "echelon.toml:3"


@pytest.mark.parametrize("number", ["9" * 400, "1" * 30 + "GiB", str(2**63)])
def test_numbers_beyond_all_bounds_are_refused(number):
    """No size makes arithmetic fail."""
    refusal(environ={"ECHELON_WASM_MAX_MEMORY": number})


def test_huge_numbers_in_the_file_are_refused():
    """TOML integers have no bound of their own."""
    for key in ("server.port", "wasm.max_memory", "wasm.max_time", "telemetry.sample"):
        section, name = key.split(".")
        refusal(f"[{section}]\n{name} = {'9' * 400}")


# --- limits -----------------------------------------------------------------------------------------------


def test_limits_are_a_limits():
    """[wasm.limits] becomes the Limits that calls start from."""
    sizes = 'memory = "1MiB"\nstack = 4096\noutput = "1KB"'
    text = f'[wasm.limits]\n{sizes}\ntime = "20ms"\nfuel = 5\nhost_calls = 1'
    assert load(text).wasm.limits == Limits("1MiB", 0.02, 5, 4096, 1000, 1)


def test_limits_above_the_ceiling_are_refused_where_they_were_set():
    """The error names both keys."""
    error = refusal('[wasm.limits]\nmemory = "1GiB"')
    assert str(error) == (
        'echelon.toml:2: wasm.limits.memory: "1GiB" is above wasm.max_memory, which is "256MiB"; '
        "lower the one or raise the other"
    )
    assert load('[wasm]\nmax_memory = "1GiB"\nlimits.memory = "1GiB"').wasm.limits.memory == 2**30


def test_default_limits_follow_a_lower_ceiling():
    """Who lowers only the ceiling gets lower limits, not an error."""
    config = load('[wasm]\nmax_memory = "8MiB"\nmax_time = "100ms"')
    assert (config.wasm.limits.memory, config.wasm.limits.time) == (8 * 2**20, 0.1)
    assert config.origins()["wasm.limits.memory"].source == "default"


# --- secrets ----------------------------------------------------------------------------------------------


def test_a_secret_hides_itself():
    """Neither repr, str, format nor the configuration's own repr shows a secret; reveal() does."""
    config = load('[console]\ntoken = "open-sesame"')
    token = config.console.token
    shown = [repr(token), str(token), f"{token}", f"{token!r:>30}", repr(config), "%s" % token]  # noqa: UP031
    assert not any("sesame" in text for text in shown)
    assert token.reveal() == "open-sesame"
    assert len(token) == 11


def test_secrets_compare():
    """A secret equals its text, matches in constant time, and an empty one matches nothing."""
    assert Secret("a") == "a"
    assert Secret("a") == Secret("a")
    assert Secret("a") != "b"
    assert Secret("a") != 1
    assert Secret("ä").matches("ä")
    assert not Secret("a").matches("b")
    assert not Secret("").matches("")
    assert not Secret("")
    assert len({Secret("a"), Secret("a")}) == 1


def test_render_hides_secrets_unless_asked():
    """`echelon config` shows that there is a token, not which."""
    config = load('[console]\ntoken = "open-sesame"')
    hidden = {row.key: row for row in config.render()}
    assert hidden["console.token"].value == '"********"'
    assert hidden["console.token"].source == "echelon.toml:2"
    shown = {row.key: row.value for row in config.render(show_secrets=True)}
    assert shown["console.token"] == '"open-sesame"'
    assert all(row.help for row in config.render())


def test_an_error_about_a_secret_does_not_show_it():
    """A bad token is described, never quoted."""
    for error in (
        refusal(environ={"ECHELON_TOKEN": "open sesame"}),
        refusal('[console]\ntoken = "open\\tsesame"'),
        refusal(arguments={"console.token": "s" * 600}),
    ):
        assert "sesame" not in str(error)
        assert "sss" not in str(error)
        assert "console.token" in str(error)


def test_an_endpoint_with_credentials_is_refused_without_showing_them():
    """Credentials belong into the headers variable of OpenTelemetry."""
    error = refusal('[telemetry]\nendpoint = "https://me:hunter2@collector"')
    assert "hunter2" not in str(error)
    assert "OTEL_EXPORTER_OTLP_HEADERS" in str(error)


# --- made in code -----------------------------------------------------------------------------------------


def test_sections_made_in_code_are_checked_and_normalised():
    """A section accepts what the file accepts, and refuses what it refuses."""
    assert ServerConfig(max_body="1MiB").max_body == 2**20
    assert WasmConfig(max_memory="1MiB").limits.memory == 2**20
    with pytest.raises(ConfigError, match=r"^server\.port: 70000"):
        ServerConfig(port=70000)
    with pytest.raises(ConfigError, match=r"^wasm\.limits: 5 is not"):
        WasmConfig(limits=5)
    with pytest.raises(ConfigError, match=r"^wasm\.limits\.time: .* is above wasm\.max_time"):
        WasmConfig(limits=Limits(time="5m"))


def test_values_set_in_code_have_code_as_source(tmp_path):
    """origins() knows what differs from the defaults."""
    config = Config(state=tmp_path / "s", server=ServerConfig(port=9))
    assert config.kv.path == tmp_path / "s/kv.db"
    given = {key: origin.source for key, origin in config.origins().items() if origin.source != "default"}
    assert given == {"state": "code", "server.port": "code"}


def test_replace_keeps_the_rest_and_derives_again(tmp_path):
    """A copy with another state has its files there, and keeps what was set before."""
    config = load("[server]\nport = 5").replace({"state": tmp_path / "other", "wasm.max_memory": "1MiB"})
    assert config.server.port == 5
    assert config.kv.path == tmp_path / "other/kv.db"
    assert config.wasm.limits.memory == 2**20
    assert config.origins()["server.port"].source == "echelon.toml:2"
    assert config.origins()["state"].source == "code"
    with pytest.raises(ConfigError, match=r"^code: server\.port: 70000"):
        config.replace({"server.port": 70000})
    with pytest.raises(ConfigError, match="unknown setting"):
        config.replace({"port": 1})


def test_a_configuration_is_a_frozen_value():
    """It can be compared and pickled, not changed."""
    config = load("[server]\nport = 5", {"ECHELON_TOKEN": "t"})
    assert pickle.loads(pickle.dumps(config)) == config
    assert pickle.loads(pickle.dumps(config)).origins() == config.origins()
    with pytest.raises(AttributeError):
        config.debug = True
    with pytest.raises(AttributeError):
        config.server.port = 1


def test_arguments_travel_to_a_child_process_as_variables(tmp_path):
    """environ() holds what the child would not find in the file or its environment."""
    Path("src").mkdir()
    arguments = {
        "server.port": 9,
        "server.reload": True,
        "server.reload_dirs": ["src"],
        "wasm.max_memory": "1GiB",
        "wasm.limits.time": "250ms",
        "console.token": "abc",
        "state": "here",
    }
    text = "[server]\nworkers = 3"
    config = load(text, {"ECHELON_DEBUG": "1"}, arguments)
    handed = config.environ()
    assert "ECHELON_SERVER_WORKERS" not in handed
    assert handed["ECHELON_TOKEN"] == "abc"
    assert load(text, {"ECHELON_DEBUG": "1"} | handed) == config


# --- lines ------------------------------------------------------------------------------------------------

AWKWARD = '''
# [not] = a key
title = "a # b = [c]"   # 3
"quoted key" . sub = 1  # 4
text = """
[table]
fake = "1"
"quotes" ""\\"""" # 5
raw = \'\'\'
x = 1 \'\'\'\' # 9
list = [ 1, # 11
  "]", [2, {deep = 5}],
  3 ]
[ wasm . "limits" ] # 14
memory = 1 # 15
time = { a = { b = "}" }, c = [1, 2] } # 16
when = 1979-05-27 07:32:00 # 17
[[many]] # 18
k = 1 # 19
'''


def test_lines_of_awkward_toml():
    """Comments, strings, nested arrays and inline tables do not confuse the line numbers."""
    tomllib.loads(AWKWARD)
    lines = key_lines(AWKWARD)
    assert lines["title"] == 3
    assert lines["quoted key.sub"] == 4
    assert (lines["text"], lines["raw"], lines["list"]) == (5, 9, 11)
    assert (lines["wasm"], lines["wasm.limits"], lines["wasm.limits.memory"]) == (14, 14, 15)
    assert lines["wasm.limits.time.a.b"] == 16
    assert (lines["wasm.limits.when"], lines["many"], lines["many.k"]) == (17, 18, 19)
    assert "fake" not in lines
    assert "table" not in lines


_names = st.text("abcXYZ019_-", min_size=1, max_size=6)
_scalars = st.one_of(
    st.integers(0, 99).map(str),
    st.sampled_from(
        ["true", '"x = 1"', "'#'", '"""\n[a]\n"""', "'''\nk = 2\n'''", "1.5", "[1,\n2]", "[]", "{}"]
    ),
)


@given(st.lists(st.tuples(_names, _scalars), unique_by=lambda pair: pair[0], max_size=8), st.integers(0, 3))
def test_lines_of_any_document(pairs, blank):
    """The line of each key is the one it was written on."""
    text, expected = "[t]\n", {}
    for name, value in pairs:
        text += "\n" * blank
        expected[f"t.{name}"] = text.count("\n") + 1
        text += f"{name} = {value} # c\n"
    tomllib.loads(text)
    lines = key_lines(text)
    assert {key: lines[key] for key in expected} == expected


# --- named sets of permissions ----------------------------------------------------------------------------

SETS = """
[permissions.plugin]
net = ["https://api.example.com"]
read = ["templates", "/etc/hosts", "~/notes"]
kv = [["users", 1]]

[permissions.plugin.deny]
net = ["10.0.0.0/8"]

[permissions.nothing]
"""


def test_named_permissions(tmp_path):
    """A set is a Permissions; relative paths count from the folder of the file."""
    write(SETS, "etc/echelon.toml")
    sets = Config.load("etc/echelon.toml", {}).permissions
    assert set(sets) == {"plugin", "nothing"}
    assert sets["plugin"].check_net("api.example.com", 443, "https")
    assert not sets["plugin"].check_net("10.0.0.1", 443, "https")
    assert sets["plugin"].check_read(tmp_path / "etc/templates/x")
    assert not sets["plugin"].check_read(tmp_path / "templates/x")
    assert sets["plugin"].read[1:] == ("/etc/hosts", os.path.expanduser("~/notes"))
    assert sets["plugin"].check_kv(("users", 1, "name"))
    assert sets["nothing"].grants_nothing
    assert Config().permissions == {}


def test_named_permissions_are_shown_and_kept():
    """`echelon config` shows each set with its line; replacing a value, or pickling, keeps them."""
    config = load('[permissions.web]\nnet = true\nenv = ["A"]\n')
    row = next(row for row in config.render() if row.key == "permissions.web")
    assert (row.value, row.source) == ('{ net = true, env = ["A"] }', "echelon.toml:1")
    assert config.replace({"debug": True}).permissions == config.permissions
    assert pickle.loads(pickle.dumps(config)).permissions == config.permissions
    made = Config(permissions={"web": {"net": ["a.org"]}, "other": Permissions(env=True)})
    assert made.permissions["web"] == Permissions(net=["a.org"])
    assert made.replace({"debug": True}).permissions == made.permissions
    assert [row.source for row in made.render() if row.key == "permissions.web"] == ["code"]
    assert "ECHELON_PERMISSIONS_WEB" not in made.environ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("permissions = 1", "echelon.toml:1: permissions: write [permissions.NAME] for each set"),
        ("[permissions]\nnet = true", "echelon.toml:1: permissions: write [permissions.NAME] for each set"),
        ("[permissions.a]\nx = 1\nnett = true", 'echelon.toml:2: permissions.a: unknown key "x"'),
        ("[permissions.a]\n\nnet = ['a b']", "echelon.toml:3: permissions.a.net: 'a b' is not a host"),
        (
            "[permissions.a]\nnet = 'a.org'",
            "echelon.toml:2: permissions.a.net: 'a.org' must be true, false or a list",
        ),
        ("[permissions.a.deny]\nenv = ['=']", "echelon.toml:2: permissions.a.env: '=' is not a variable"),
        ("[permissions.'a b']", "echelon.toml:1: permissions.a b: the name of a set has letters"),
    ],
)
def test_bad_named_permissions(text, message):
    """A mistake in a set names its line and its key."""
    assert message in str(refusal(text))


# --- documentation ----------------------------------------------------------------------------------------


def test_every_setting_is_documented():
    """docs/configuration.md has a row for each setting, with its default, and for no other."""
    page = (Path(__file__).parent.parent / "docs/configuration.md").read_text()
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    documented = {row[1].strip().strip("`"): (row[2].strip().strip("`"), row[3].strip()) for row in rows}
    assert list(documented) == list(settings())
    here = os.fspath(Path.cwd())
    for row in Config().render():
        default, help = documented[row.key]
        assert default == row.value.replace(f"{here}/", ""), row.key
        assert help == row.help, row.key


def test_telemetry_section_alone_has_defaults():
    """A component can be built from its section only."""
    assert TelemetryConfig().metrics == "prometheus"
