"""What is granted is granted, and nothing else is."""

from __future__ import annotations

import io
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echelon.errors import ConfigError, PermissionDenied
from echelon.runtime.audit import AuditLog
from echelon.runtime.permission_rules import normal_host
from echelon.runtime.permissions import KINDS, MAX_PATHS, NONE, Permissions


def denial(permissions: Permissions, verb: str, *target: Any) -> PermissionDenied:
    with pytest.raises(PermissionDenied) as caught:
        getattr(permissions, f"require_{verb}")(*target)
    return caught.value


ASK = [
    ("env", ("HOME",), "HOME", "--allow-env=HOME"),
    ("read", ("/etc/passwd",), "/etc/passwd", "--allow-read=/etc/passwd"),
    ("write", ("/etc/passwd",), "/etc/passwd", "--allow-write=/etc/passwd"),
    ("net", ("api.example.com", 443), "api.example.com:443", "--allow-net=api.example.com"),
    ("net", ("::1", 80), "[::1]:80", "--allow-net=[::1]"),
    ("sys", ("clock",), "clock", "--allow-sys=clock"),
    ("kv", (("users", 1),), "users/1", "--allow-kv=users"),
    ("kv", ((1, "x"),), "1/x", "--allow-kv"),
    ("import", ("example.com", 443), "example.com:443", "--allow-import=example.com"),
]


@pytest.mark.parametrize(("kind", "target", "shown", "grant"), ASK)
def test_nothing_is_granted_by_default(kind: str, target: tuple[Any, ...], shown: str, grant: str) -> None:
    """A denial names the permission, the target and the option that would grant it."""
    assert getattr(NONE, f"check_{kind}")(*target) is False
    error = denial(NONE, kind, *target)
    assert (error.permission, error.target, error.grant) == (kind, shown, grant)
    assert isinstance(error, PermissionError)
    assert str(error) == f'{kind} to "{shown}" (grant it with {grant})'


@pytest.mark.parametrize(("kind", "target", "shown", "grant"), ASK)
def test_the_grant_in_a_denial_works(kind: str, target: tuple[Any, ...], shown: str, grant: str) -> None:
    """What a denial says to add grants what was denied."""
    name, _, items = grant.removeprefix("--allow-").partition("=")
    permissions = Permissions.from_flags({name: items or None})
    assert getattr(permissions, f"check_{kind}")(*target) is True
    getattr(permissions, f"require_{kind}")(*target)


@pytest.mark.parametrize(("kind", "target", "shown", "grant"), ASK)
def test_true_grants_all_and_a_denial_wins(
    kind: str, target: tuple[Any, ...], shown: str, grant: str
) -> None:
    """True grants everything of its kind; a denial of all takes it back and says so."""
    everything = Permissions.parse({kind: True})
    getattr(everything, f"require_{kind}")(*target)
    other = next(k for k in KINDS if k != kind)
    assert getattr(Permissions.parse({other: True}), f"check_{kind}")(*target) is False
    nothing = Permissions.parse({kind: True, "deny": {kind: True}})
    assert getattr(nothing, f"check_{kind}")(*target) is False
    assert denial(nothing, kind, *target).grant == f"{grant} and without --deny-{kind}"


def test_an_empty_list_grants_nothing() -> None:
    """An empty list is not everything."""
    assert Permissions(env=[]).check_env("HOME") is False
    assert Permissions(read=[]).check_read("/") is False
    assert Permissions(env=[]).grants_nothing
    assert not Permissions(env=["X"]).grants_nothing
    assert Permissions(deny=Permissions(env=True)).grants_nothing


def test_permissions_are_values() -> None:
    """Equal grants are equal and hash alike; nothing about them can be changed."""
    one = Permissions(env=["A"], kv=[["users", 1]], deny=Permissions(net=["x.com"]))
    two = Permissions(env=["A"], kv=[["users", 1]], deny=Permissions(net=["x.com"]))
    assert one == two
    assert hash(one) == hash(two)
    assert one != Permissions(env=["A"], kv=[["users", 1]])
    with pytest.raises(AttributeError):
        one.env = True  # type: ignore[misc]


# Variables ----------------------------------------------------------------------------------------------


def test_env_names_and_prefixes() -> None:
    """A name is that variable; a star at the end stands for any rest; case counts."""
    permissions = Permissions(env=["HOME", "APP_*"], deny=Permissions(env=["APP_SECRET*"]))
    for name in ("HOME", "APP_", "APP_MODE"):
        assert permissions.check_env(name)
    for name in ("HOMEX", "home", "XAPP_", "APP", "APP_SECRET", "APP_SECRET_2", ""):
        assert not permissions.check_env(name)
    assert denial(permissions, "env", "APP_SECRET").grant.endswith("and without --deny-env=APP_SECRET*")
    assert Permissions(env=["*"]).check_env("ANY")


@pytest.mark.parametrize("item", ["", "A=B", "A*B", "*A", "A\0", 1, None, ["A"], b"A"])
def test_bad_env_items(item: object) -> None:
    """What cannot be a variable is refused, and the message shows it."""
    with pytest.raises(ConfigError, match=r"permissions\.env: ") as caught:
        Permissions(env=[item])
    assert repr(item) in str(caught.value)
    assert caught.value.key == "env"


# Paths --------------------------------------------------------------------------------------------------


def test_paths_are_prefixes_by_whole_names(tmp_path: Path) -> None:
    """A directory grants what is below it, not what merely begins like it; a file grants itself."""
    for name in ("data", "data2", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "other/file").touch()
    permissions = Permissions(read=[tmp_path / "data", str(tmp_path / "other/file")])
    for name in ("data", "data/x", "data/x/y", "data/../data/x", "other/file"):
        assert permissions.check_read(tmp_path / name), name
    for name in ("data2", "data2/x", "other", "other/file2", "data/../other", ""):
        assert not permissions.check_read(tmp_path / name), name
    assert not permissions.check_write(tmp_path / "data")


def test_links_are_followed_before_paths_are_compared(tmp_path: Path) -> None:
    """A link to a granted place is granted, a link out of it is not, and a grant may be written as a link."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/out").symlink_to("/etc")
    (tmp_path / "in").symlink_to("data")
    permissions = Permissions(read=[tmp_path / "in"])
    assert permissions.check_read(tmp_path / "data/x")
    assert permissions.check_read(tmp_path / "in/x")
    assert not permissions.check_read(tmp_path / "data/out/passwd")
    assert not permissions.check_read(tmp_path / "in/../x")


def test_links_are_followed_when_the_grant_is_made(tmp_path: Path) -> None:
    """A link that is changed later does not change what was granted."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to("one")
    permissions = Permissions(read=[tmp_path / "link"])
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("two")
    assert permissions.check_read(tmp_path / "one/x")
    assert not permissions.check_read(tmp_path / "two/x")


def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path counts from the working directory at the time of the grant; `~/` is the home directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    permissions = Permissions(read=["data", "~/notes"])
    monkeypatch.chdir("/")
    assert permissions.check_read(tmp_path / "data/x")
    assert permissions.check_read(tmp_path / "home/notes/x")
    assert not permissions.check_read("/data/x")
    assert permissions.to_dict() == {"read": [str(tmp_path / "data"), str(tmp_path / "home/notes")]}


def test_denied_paths_win_inside_granted_ones(tmp_path: Path) -> None:
    """A denial below a grant takes a part of it back, whichever link leads there."""
    (tmp_path / "data/secret").mkdir(parents=True)
    (tmp_path / "data/link").symlink_to("secret")
    permissions = Permissions(read=[tmp_path], deny=Permissions(read=[tmp_path / "data/link"]))
    assert permissions.check_read(tmp_path / "data/x")
    assert not permissions.check_read(tmp_path / "data/secret")
    assert not permissions.check_read(tmp_path / "data/link/x")
    assert "--deny-read=" in denial(permissions, "read", tmp_path / "data/secret").grant


@pytest.mark.parametrize("path", ["/proc/self/environ", "/proc/self/mem", "/sys/kernel", "/dev/mem", "/proc"])
def test_kept_trees_are_granted_by_name_only(path: str) -> None:
    """Neither True nor "/" covers the trees that show the host itself; a path in them does. Denials cover all."""
    real = os.path.realpath(path)
    for everything in (Permissions(read=True, write=True), Permissions(read=["/"], write=["/"])):
        assert not everything.check_path("read", real)
        assert not everything.check_path("write", real)
        assert everything.check_read("/etc/passwd")
    assert Permissions(read=[real]).check_path("read", real)
    assert not Permissions(read=[real], deny=Permissions(read=["/"])).check_path("read", real)
    assert not Permissions(read=[real]).narrow(Permissions(read=True)).check_path("read", real)


def test_rules_in_a_directory(tmp_path: Path) -> None:
    """It is known whether one answer holds for all of a directory."""
    data = str(tmp_path)
    inner = Permissions(read=[data], write=[data + "/out"])
    assert inner.has_rules_in(data, itself=False)
    assert not inner.has_rules_in(data + "/out", itself=False)
    assert inner.has_rules_in(data + "/out", itself=True)
    assert Permissions(read=[data], deny=Permissions(write=[data + "/x"])).has_rules_in(data, itself=False)
    assert Permissions(read=True).has_rules_in("/", itself=False)
    assert not Permissions(read=True, net=True).has_rules_in(data, itself=True)


@pytest.mark.parametrize("item", ["", "a\0b", 3, b"/x", None])
def test_bad_paths(item: object) -> None:
    """What cannot be a path is refused."""
    with pytest.raises(ConfigError, match=r"permissions\.write: "):
        Permissions(write=[item])


# Hosts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grant", "allowed", "refused"),
    [
        (
            "example.com",
            ["example.com:80", "EXAMPLE.com.:443"],
            ["www.example.com:80", "example.com.evil.org:80"],
        ),
        ("*.example.com", ["a.example.com:80", "a.b.example.com:1"], ["example.com:80", "aexample.com:80"]),
        ("example.com:443", ["example.com:443"], ["example.com:80"]),
        ("*.example.com:443", ["a.example.com:443"], ["a.example.com:444"]),
        (
            "127.0.0.1",
            ["127.0.0.1:80", "127.1:80", "2130706433:80", "0x7f.1:80"],
            ["127.0.0.2:80", "localhost:80"],
        ),
        ("10.0.0.0/8", ["10.1.2.3:80"], ["11.0.0.1:80", "ten.example.com:80"]),
        ("10.0.0.0/8:443", ["10.1.2.3:443"], ["10.1.2.3:80"]),
        ("[::1]:80", ["[::1]:80", "[0:0:0:0:0:0:0:1]:80"], ["[::1]:81", "[::2]:80"]),
        ("::1", ["[::1]:80"], ["127.0.0.1:80"]),
        ("1.2.3", ["1.2.0.3:80"], ["1.2.3.0:80"]),
        ("fd00::/8", ["[fd12::1]:80"], ["[fe80::1]:80", "10.0.0.1:80"]),
        ("[fd00::/8]:80", ["[fd12::1]:80"], ["[fd12::1]:81"]),
        ("127.0.0.1", ["[::ffff:127.0.0.1]:80"], []),
        ("::ffff:10.0.0.0/104", ["10.1.2.3:80", "[::ffff:a01:203]:80"], ["11.0.0.1:80"]),
        ("[::ffff:0:0/96]:80", ["1.2.3.4:80"], ["1.2.3.4:81", "[::1]:80"]),
        ("::/0", ["[::1]:80"], ["1.2.3.4:80"]),
        ("bücher.example", ["xn--bcher-kva.example:80", "BÜCHER.example:80"], ["bucher.example:80"]),
    ],
)
def test_hosts(grant: str, allowed: list[str], refused: list[str]) -> None:
    """Hosts are compared in one normal form, by whole labels, with their port when one is given."""
    permissions = Permissions(net=[grant])
    for targets, expected in ((allowed, True), (refused, False)):
        for target in targets:
            host, _, port = target.rpartition(":")
            assert permissions.check_net(host, int(port)) is expected, target
    assert Permissions.parse(permissions.to_dict()) == permissions


@pytest.mark.parametrize(
    "item",
    [
        "", "*", "*.", ".", "a..b", "ftp://x", "http://", "https://x/y", "HTTP://x", "://x",
        "x/y", "x:0", "x:65536", "x:y", "x:", "x: 1", "*.1.2.3.4", "a*b.com",
        "x" * 64, "-a.com", "1.2.3.4/33", "10.0.0.1/8", "[::1", "[::1]x", "256.1.1.1",
        "a b", "a\0", 5, None, "x:١",
    ],
)  # fmt: skip
def test_bad_hosts(item: object) -> None:
    """What is no host, port or network is refused."""
    with pytest.raises(ConfigError, match=r"permissions\.net: "):
        Permissions(net=[item])


def test_schemes_of_hosts() -> None:
    """A host with a scheme is granted for requests of that scheme only, and denied for them only."""
    permissions = Permissions(net=["https://example.com", "http://*.example.org:8080", "https://10.0.0.0/8"])
    assert permissions.check_net("example.com", 443, "https")
    assert permissions.check_net("a.example.org", 8080, "http")
    assert permissions.names_address("10.1.1.1", 443, "https")
    for host, port, scheme in (
        ("example.com", 80, "http"),
        ("example.com", 443, None),
        ("a.example.org", 8080, "https"),
        ("a.example.org", 80, "http"),
        ("10.1.1.1", 80, "http"),
    ):
        assert not permissions.check_net(host, port, scheme), (host, port, scheme)
    assert Permissions.parse(permissions.to_dict()) == permissions
    denied = Permissions(net=True, deny=Permissions(net=["http://example.com"]))
    assert denied.check_net("example.com", 443, "https")
    assert not denied.check_net("example.com", 80, "http")
    assert not denied.check_net("example.com", 80)
    one, two = Permissions(net=["https://example.com"]), Permissions(net=["*.com:443", "http://example.com"])
    assert one.narrow(two) == Permissions(net=["https://example.com:443"])
    assert one.narrow(Permissions(net=["http://example.com"])).net == ()


def test_addresses_of_granted_hosts() -> None:
    """An inner address is reached only where it is named too; a denial of an address wins; the message says so."""
    permissions = Permissions(net=["db.example", "10.0.0.5:5432"], deny=Permissions(net=["93.0.0.0/8"]))
    permissions.require_address("db.example", "10.0.0.5", 5432, public=False)
    permissions.require_address("db.example", "8.8.8.8", 1, public=True)
    for address, public, grant in (
        ("10.0.0.6", False, "--allow-net=db.example,10.0.0.6"),
        ("fd00::1", False, "--allow-net=db.example,[fd00::1]"),
        ("93.1.1.1", True, "--allow-net=db.example,93.1.1.1 and without --deny-net=93.0.0.0/8"),
    ):
        assert not permissions.check_address(address, 5432, public=public)
        with pytest.raises(PermissionDenied) as caught:
            permissions.require_address("db.example", address, 5432, public=public)
        assert caught.value.grant == grant


@pytest.mark.parametrize("host", ["", "a b", "a\0b", "x" * 300, "[::1", "..", "999.1.1.1", "\ud800"])
def test_impossible_hosts_are_denied(host: str) -> None:
    """A guest that asks for something that is no host is denied, even when every host is granted."""
    everything = Permissions(net=True)
    assert everything.check_net(host, 80) is False
    denial(everything, "net", host, 80)


def test_addresses_that_names_lead_to() -> None:
    """A denied network holds after resolution; a private address needs a grant that names it."""
    permissions = Permissions(net=True, deny=Permissions(net=["10.0.0.0/8"]))
    assert permissions.check_net("intranet.example.com", 80)
    assert permissions.denies_address("10.2.3.4", 80)
    assert permissions.denies_address("::ffff:10.2.3.4", 80)
    assert not permissions.denies_address("93.184.216.34", 80)
    assert not permissions.names_address("127.0.0.1", 80)
    named = Permissions(net=["127.0.0.1:80", "192.168.0.0/16"], deny=Permissions(net=["192.168.9.9"]))
    assert named.names_address("127.0.0.1", 80)
    assert not named.names_address("127.0.0.1", 81)
    assert named.names_address("192.168.1.1", 9)
    assert not named.names_address("192.168.9.9", 9)


@given(st.text(max_size=40))
def test_normal_form_of_a_host_is_stable(text: str) -> None:
    """A host is refused, or its normal form is its own normal form."""
    try:
        once = normal_host(text)
    except ValueError:
        return
    assert normal_host(once) == once


# Keys and facts -----------------------------------------------------------------------------------------


def test_key_prefixes() -> None:
    """A prefix covers keys that begin with its whole parts, of the same types."""
    permissions = Permissions(kv=["users/eu", ["orders", 1], ("logs",)], deny=Permissions(kv=["logs/secret"]))
    for key in (("users", "eu"), ("users", "eu", 5), ["orders", 1, b"x"], ("logs", "x"), ("logs",)):
        assert permissions.check_kv(key), key
    for refused in (
        (),
        ("users",),
        ("users", "eux"),
        ("orders", True),
        ("orders", 1.0),
        ("orders", "1"),
        (b"logs",),
    ):
        assert not permissions.check_kv(refused), refused
    assert not permissions.check_kv(("logs", "secret", 1))


@pytest.mark.parametrize("item", ["", "a//b", "/", [], [""], [None], [1.5], [b"x"], [True], 5, None])
def test_bad_keys(item: object) -> None:
    """What is no beginning of a key is refused."""
    with pytest.raises(ConfigError, match=r"permissions\.kv: "):
        Permissions(kv=[item])


def test_unknown_facts_are_refused() -> None:
    """Only known facts can be granted, and the message lists them."""
    with pytest.raises(ConfigError, match="known are clock"):
        Permissions(sys=["clocks"])


def test_join() -> None:
    """Joined permissions grant what either grants and deny what either denies."""
    one = Permissions(env=["A"], net=True, deny=Permissions(kv=["x"]))
    two = Permissions(env=["B", "A"], net=["a.org"], read=["/data"], deny=Permissions(env=["C"]))
    joined = one.join(two)
    assert joined == Permissions(
        env=["A", "B"], net=True, read=["/data"], deny=Permissions(kv=["x"], env=["C"])
    )
    assert Permissions().join(one) == one


# Reading and writing them -------------------------------------------------------------------------------


def test_parse_and_to_dict(tmp_path: Path) -> None:
    """What to_dict writes parses to the same permissions, also through JSON."""
    values = {
        "net": ["example.com:443", "10.0.0.0/8"],
        "read": [str(tmp_path)],
        "env": True,
        "kv": ["a/b", ["a", 1]],
        "import": ["esm.example.com"],
        "deny": {"env": ["SECRET"]},
    }
    permissions = Permissions.parse(values)
    assert permissions.import_ == ("esm.example.com",)
    written = json.loads(json.dumps(permissions.to_dict()))
    assert written == values
    assert Permissions.parse(written) == permissions
    assert Permissions.parse({"import_": True, "net": False, "read": None}).to_dict() == {"import": True}
    assert NONE.to_dict() == {}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"nett": True}, 'unknown key "nett"; known are net, read, write, env, sys, kv, import and deny'),
        ({"env": "HOME"}, r"permissions.env: 'HOME' must be true, false or a list"),
        ({"env": 1}, "permissions.env: 1 must be"),
        ({"deny": {"x": 1}}, 'unknown key "x"'),
        ({"deny": {"deny": {"env": True}}}, "permissions.deny: must be Permissions without"),
        ([], "must be a table of"),
        ({"read": ["/"] * (MAX_PATHS + 1)}, f"at most {MAX_PATHS} are accepted"),
    ],
)
def test_parse_refuses(values: Any, message: str) -> None:
    """An unknown key or a value of the wrong kind is refused with what would be valid."""
    with pytest.raises(ConfigError) as caught:
        Permissions.parse(values)
    assert message in str(caught.value)


def test_a_text_is_not_a_list() -> None:
    """`env="HOME"` is a mistake, not four variables."""
    with pytest.raises(
        ConfigError, match=r"permissions\.env: 'HOME' must be true, or a list such as \['HOME'\]"
    ):
        Permissions(env="HOME")
    with pytest.raises(ConfigError, match=r"permissions\.read: "):
        Permissions(read=Path("/x"))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"permissions\.deny: "):
        Permissions(deny={"env": True})  # type: ignore[arg-type]


def test_flags() -> None:
    """An option without a list is everything, with one it is those items, with an empty one nothing."""
    permissions = Permissions.from_flags({"env": "HOME,TZ", "net": None, "sys": ""}, {"net": "x.com:80"})
    assert permissions == Permissions(
        env=["HOME", "TZ"], net=True, sys=[], deny=Permissions(net=["x.com:80"])
    )
    with pytest.raises(ConfigError, match="unknown key"):
        Permissions.from_flags({"everything": None})


# Narrowing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "one", "two", "both"),
    [
        ("env", True, ["A"], ["A"]),
        ("env", ["A", "B"], ["B", "C"], ["B"]),
        ("env", ["APP_*"], ["APP_X", "X"], ["APP_X"]),
        ("env", ["APP_*"], ["APP_LOG_*"], ["APP_LOG_*"]),
        ("env", ["A"], None, None),
        ("env", ["A"], [], []),
        ("read", ["/data"], ["/data/x", "/other"], ["/data/x"]),
        ("read", ["/data"], ["/data2"], []),
        ("read", True, ["/data"], ["/data"]),
        ("read", True, ["/proc/self"], []),
        ("net", ["*.example.com"], ["a.example.com:80"], ["a.example.com:80"]),
        ("net", ["*.example.com:80"], ["a.example.com"], ["a.example.com:80"]),
        ("net", ["*.example.com"], ["*.a.example.com", "example.com"], ["*.a.example.com"]),
        ("net", ["x.com:80"], ["x.com:81"], []),
        (
            "net",
            ["10.0.0.0/8"],
            ["10.1.0.0/16", "10.2.3.4", "11.0.0.1", "fd00::/8"],
            ["10.1.0.0/16", "10.2.3.4"],
        ),
        ("kv", ["users"], ["users/eu", "orders"], ["users/eu"]),
        ("kv", [["a", 1]], [["a"], ["a", 1, "x"]], [["a", 1], ["a", 1, "x"]]),
        ("sys", ["clock"], True, ["clock"]),
    ],
)
def test_narrow(kind: str, one: Any, two: Any, both: Any) -> None:
    """Narrowing grants what both grant, in either order."""
    first, second = Permissions.parse({kind: one}), Permissions.parse({kind: two})
    expected = Permissions.parse({kind: both})
    assert set(first.narrow(second).to_dict().get(kind, [None])) == set(expected.to_dict().get(kind, [None]))
    assert set(second.narrow(first).to_dict().get(kind, [None])) == set(expected.to_dict().get(kind, [None]))


def test_narrow_keeps_every_denial() -> None:
    """What either denies stays denied."""
    one = Permissions(env=True, net=True, deny=Permissions(env=["A"], net=True))
    two = Permissions(env=True, net=True, deny=Permissions(env=["B"], net=["x.com"]))
    both = one.narrow(two)
    assert both.deny == Permissions(env=["A", "B"], net=True)
    assert [name for name in "ABC" if both.check_env(name)] == ["C"]
    assert one.narrow(Permissions(env=True)).deny == one.deny
    assert Permissions(env=True).narrow(one).deny == one.deny


_ITEMS = {
    "env": (st.sampled_from(["A", "AB", "A*", "AB*", "*", "B"]), ["", "A", "AB", "ABC", "B", "C"]),
    "read": (
        st.sampled_from(["/", "/d", "/d/e", "/d/e/f", "/x", "/proc", "/proc/1"]),
        ["/", "/d", "/d/e", "/d/ee", "/d/e/f/g", "/x/y", "/proc", "/proc/1/mem", "/nope"],
    ),
    "net": (
        st.sampled_from(
            ["a.com", "*.a.com", "b.a.com", "*.b.a.com:1", "a.com:1", "10.0.0.0/8", "10.1.0.0/16:1", "10.1.1.1"]
        ),
        [(h, p) for h in ("a.com", "b.a.com", "c.b.a.com", "10.1.1.1", "10.2.2.2", "z") for p in (1, 2)],
    ),
    "kv": (st.sampled_from(["a", "a/b", "a/b/c", "b"]), [("a",), ("a", "b"), ("a", "b", "c", 1), ("b",), ("c",)]),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(_ITEMS))
@given(data=st.data())
def test_narrow_is_exactly_both(kind: str, data: st.DataObject) -> None:
    """Whatever two permissions are, narrowed they allow a target exactly when both do."""
    item, targets = _ITEMS[kind]
    value = st.one_of(st.none(), st.just(True), st.lists(item, max_size=3))

    def draw() -> Permissions:
        deny = data.draw(value)
        return Permissions.parse({kind: data.draw(value), "deny": {kind: deny}})

    one, two = draw(), draw()
    both = one.narrow(two)
    for target in targets:
        arguments = target if kind == "net" else (target,)
        check = "_check" if kind == "read" else f"check_{kind}"
        if kind == "read":
            arguments = ("read", target)

        def allows(permissions: Permissions, check: str = check, arguments: Any = arguments) -> bool:
            return bool(getattr(permissions, check)(*arguments))

        assert allows(both) == (allows(one) and allows(two)), target


# Audit --------------------------------------------------------------------------------------------------


def test_audit_writes_every_use(tmp_path: Path) -> None:
    """Each use and each refusal is one line of JSON; narrowed permissions go on writing; the file is private."""
    path = tmp_path / "audit.jsonl"
    with AuditLog(path) as log:
        permissions = Permissions(env=["HOME"], net=True).audited(log, "fib").narrow(Permissions(env=True))
        permissions.require_env("HOME")
        denial(permissions, "env", "SECRET\n")
        denial(permissions, "net", "x.com", 80)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(x["module"], x["permission"], x["target"], x["allowed"]) for x in lines] == [
        ("fib", "env", "HOME", True),
        ("fib", "env", "SECRET\n", False),
        ("fib", "net", "x.com:80", False),
    ]
    assert all(line["time"].endswith("+00:00") for line in lines)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Permissions(env=["HOME"]).audited(AuditLog(io.BytesIO()), "m") == Permissions(env=["HOME"])


def test_audit_appends_whole_lines_from_threads(tmp_path: Path) -> None:
    """Several logs on one file, from several threads, do not tear each other's lines."""
    path = tmp_path / "audit.jsonl"

    def work(name: str) -> None:
        with AuditLog(path) as log:
            permissions = Permissions(env=True).audited(log, name)
            for number in range(200):
                permissions.require_env(f"{name}{number}")

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({line["target"] for line in lines}) == len(lines) == 600


def test_what_cannot_be_recorded_does_not_happen(tmp_path: Path) -> None:
    """A full disk or a closed log stops the guest, it is not passed over."""
    with AuditLog("/dev/full") as log, pytest.raises(OSError, match="No space"):
        Permissions(env=True).audited(log, "m").require_env("A")
    log = AuditLog(tmp_path / "x")
    log.close()
    log.close()
    with pytest.raises(ValueError, match="closed"):
        Permissions(env=True).audited(log, "m").require_env("A")
