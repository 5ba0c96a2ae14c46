"""Requests of guests: what is sent, what comes back, and above all what is refused."""

from __future__ import annotations

import asyncio
import builtins
import json
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from origin_server import Origin, serve

from echelon.config import Secret
from echelon.errors import ConfigError, GuestError, MissingExtra, PermissionDenied
from echelon.runtime import outbound as module
from echelon.runtime.addresses import SystemResolver, is_public
from echelon.runtime.audit import AuditLog
from echelon.runtime.outbound import Outbound, OutboundFailure, OutboundRequest, Target, load_client
from echelon.runtime.permissions import Permissions

LOCAL = "127.0.0.1"


class Names:
    """A resolver that knows what it is told, and counts what it is asked."""

    def __init__(self, **names: Any) -> None:
        self.names = {name.replace("_", "."): value for name, value in names.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if host not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        found = self.names[host]
        return [found] if isinstance(found, str) else list(found)


def get(url: str, **options: Any) -> OutboundRequest:
    headers = options.pop("headers", ())
    return OutboundRequest.checked(
        options.pop("method", "GET"), url, headers, options.pop("body", b""), **options
    )


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with serve() as origin:
        yield origin


@pytest.fixture
def names() -> Names:
    return Names(shop_example=LOCAL, other_example=LOCAL, public_example="93.184.216.34")


@pytest.fixture
def net(names: Names) -> Outbound:
    return Outbound(resolve=names)


def granted(*hosts: str, **more: Any) -> Permissions:
    return Permissions(net=[*hosts, LOCAL], **more)


# What is sent and what comes back ---------------------------------------------------------------------


async def test_a_request_and_its_response(net: Outbound, origin: Origin) -> None:
    """Method, path, query, headers and body arrive; status, headers and body come back."""
    url = f"http://shop.example:{origin.port}/päth?q=a b#fragment"
    request = get(
        url, method="post", headers=[("X-One", "1"), ("Content-Type", "text/plain")], body=b"\0body"
    )
    response = await net.fetch(granted("shop.example"), request)
    assert response.status == 200
    assert response.url == f"http://shop.example:{origin.port}/p%C3%A4th?q=a%20b"
    assert dict(response.headers)["content-type"] == "application/json"
    seen = json.loads(response.body)
    assert (seen["method"], seen["target"], seen["body"]) == ("POST", "/p%C3%A4th?q=a%20b", "\0body")
    assert seen["headers"] == {
        "host": f"shop.example:{origin.port}",
        "user-agent": "echelon",
        "accept": "*/*",
        "accept-encoding": "identity",
        "x-one": "1",
        "content-type": "text/plain",
        "connection": "close",
        "content-length": "5",
    }


async def test_bodies(net: Outbound, origin: Origin) -> None:
    """Chunks are put together, repeated headers are kept, a HEAD has no body, an empty POST says so."""
    base, allowed = f"http://{LOCAL}:{origin.port}", granted()
    assert (await net.fetch(allowed, get(base + "/chunked"))).body == b"abcde"
    cookies = await net.fetch(allowed, get(base + "/cookies"))
    assert cookies.status == 201
    assert [value for name, value in cookies.headers if name == "set-cookie"] == ["a=1", "b=2"]
    assert (await net.fetch(allowed, get(base + "/bytes?n=9", method="HEAD"))).body == b""
    await net.fetch(allowed, get(base + "/", method="POST"))
    assert origin.headers()["content-length"] == "0"
    await net.fetch(allowed, get(base + "/"))
    assert "content-length" not in origin.headers()


async def test_nothing_comes_from_the_environment(
    net: Outbound, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxies of the environment are not used."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert (await net.fetch(granted(), get(f"http://{LOCAL}:{origin.port}/"))).status == 200


async def test_limits_of_responses(net: Outbound, origin: Origin) -> None:
    """Too large a body, too many or too long headers, a body cut short, or no HTTP at all: each is a failure."""
    base, allowed = f"http://{LOCAL}:{origin.port}", granted()
    assert len((await net.fetch(allowed, get(base + "/bytes?n=1000"), 1000)).body) == 1000
    for path, message in (
        ("/bytes?n=1001", "more than 1000 bytes"),
        ("/many?n=200", "more than 100 headers"),
        ("/huge-header", "failed: "),
        ("/cut", "failed: peer closed connection"),
        ("/garbage", "failed: "),
    ):
        with pytest.raises(OutboundFailure, match=message):
            await net.fetch(allowed, get(base + path), 1000)


async def test_no_answer(net: Outbound, names: Names) -> None:
    """A name without address and a port that nobody listens on are failures with a reason."""
    with pytest.raises(OutboundFailure, match=r"nowhere\.example has no address: Name or service not known"):
        await net.fetch(granted("nowhere.example"), get("http://nowhere.example/"))
    names.names["empty.example"] = []
    with pytest.raises(OutboundFailure, match=r"empty\.example has no address"):
        await net.fetch(granted("empty.example"), get("http://empty.example/"))
    with socket.socket() as closed:
        closed.bind((LOCAL, 0))
        with pytest.raises(OutboundFailure, match=r"the request to shop\.example:\d+ failed"):
            await net.fetch(granted("shop.example"), get(f"http://shop.example:{closed.getsockname()[1]}/"))


async def test_cancelling(net: Outbound, origin: Origin) -> None:
    """A request that is cancelled is given up, and its connection closed."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await net.fetch(granted(), get(f"http://{LOCAL}:{origin.port}/never"))


async def test_the_next_address_is_tried(net: Outbound, names: Names, origin: Origin) -> None:
    """When the first address does not answer, the next one is asked."""
    names.names["shop.example"] = ["127.0.0.2", LOCAL]
    permissions = Permissions(net=["shop.example", "127.0.0.0/8"])
    assert (await net.fetch(permissions, get(f"http://shop.example:{origin.port}/"))).status == 200


# What guests may not send ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://x.example/", 'begins with "ftp:"'),
        ("file:///etc/passwd", 'begins with "file:"'),
        ("//x.example/", 'begins with ":"'),
        ("x.example", 'begins with ":"'),
        ("http:///path", "names no host"),
        ("http://user:pw@x.example/", "carries a user name"),
        ("http://x.example@evil.example/", "carries a user name"),
        ("http://x.example\\@evil.example/", "backslash"),
        ("http://x.example/\r\nx: y", "control character"),
        ("http://x.example/\0", "control character"),
        ("http://ex\tample.com/", "control character"),
        ("http://x.example:0/", "port 0"),
        ("http://x.example:99999/", "[Pp]ort"),
        ("http://x.example:http/", "[Pp]ort"),
        ("http://[::1/", "IPv6"),
        ("http://[fe80::1%25eth0]/", "names no host"),
        ("http://999.1.1.1/", "not a host name"),
        ("http://a..b/", "not a host name"),
        ("http://x.example/" + "a" * 9000, "at most 8192"),
    ],
)
def test_bad_urls(url: str, message: str) -> None:
    """What is no plain http or https URL is refused before a name is looked up."""
    with pytest.raises(GuestError, match=message):
        get(url)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "CONNECT"}, "the method 'CONNECT'"),
        ({"method": "trace"}, "the method 'trace'"),
        ({"method": "GET / HTTP/1.1\r\nx:"}, "the method"),
        ({"method": ""}, "the method"),
        ({"headers": [("Host", "evil.example")]}, "only its host may set"),
        ({"headers": [("content-length", "5")]}, "only its host may set"),
        ({"headers": [("Transfer-Encoding", "chunked")]}, "only its host may set"),
        ({"headers": [("Upgrade", "h2c")]}, "only its host may set"),
        ({"headers": [("x", "a\r\nhost: evil")]}, "not allowed in HTTP"),
        ({"headers": [("x y", "a")]}, "not allowed in HTTP"),
        ({"headers": [("", "a")]}, "not allowed in HTTP"),
        ({"headers": [("x", "\u2028")]}, "not allowed in HTTP"),
        ({"headers": [("x", "")] * 101}, "too many headers"),
        ({"headers": [("x", "y" * 40_000)]}, "too many headers"),
        ({"body": b"x" * (16 * 1024 * 1024 + 1)}, "at most 16777216 are sent"),
    ],
)
def test_bad_requests(options: dict[str, Any], message: str) -> None:
    """Nothing a guest sends can change where its request goes, or smuggle in a second one."""
    with pytest.raises(GuestError, match=message):
        get("http://x.example/", **options)


@pytest.mark.parametrize(
    ("url", "origin", "written"),
    [
        ("HTTP://X.Example./a", ("http", "x.example", 80), "http://x.example/a"),
        ("https://x.example:443", ("https", "x.example", 443), "https://x.example/"),
        ("http://2130706433/", ("http", LOCAL, 80), "http://127.0.0.1/"),
        ("http://0x7f.1:81/", ("http", LOCAL, 81), "http://127.0.0.1:81/"),
        ("http://017700000001/", ("http", LOCAL, 80), "http://127.0.0.1/"),
        ("http://[::ffff:127.0.0.1]/", ("http", LOCAL, 80), "http://127.0.0.1/"),
        ("http://[0:0:0:0:0:0:0:1]:8080/", ("http", "::1", 8080), "http://[::1]:8080/"),
        ("http://[::1]/", ("http", "::1", 80), "http://[::1]/"),
        ("http://bücher.example/", ("http", "xn--bcher-kva.example", 80), "http://xn--bcher-kva.example/"),
        ("http://x.example?q", ("http", "x.example", 80), "http://x.example/?q"),
    ],
)
def test_targets(url: str, origin: tuple[str, str, int], written: str) -> None:
    """A URL has one normal form, whatever spelling of its host was used, and reading it again changes nothing."""
    target = Target.parse(url)
    assert target.origin == origin
    assert str(target) == written
    assert Target.parse(written) == target


# Grants ------------------------------------------------------------------------------------------------


async def test_undefined_and_foreign_hosts_are_denied(net: Outbound, names: Names, origin: Origin) -> None:
    """Without a grant nothing is resolved or reached; the denial says what to add."""
    for permissions in (
        Permissions(),
        Permissions(net=["other.example"]),
        Permissions(net=["api.example.com:444"]),
    ):
        with pytest.raises(PermissionDenied) as caught:
            await net.fetch(permissions, get("https://api.example.com/"))
        expected = 'net to "api.example.com:443" (grant it with --allow-net=api.example.com)'
        assert str(caught.value) == expected
    assert names.asked == []


async def test_schemes(net: Outbound, origin: Origin) -> None:
    """A grant may be for one scheme; the other one is denied."""
    url = f"http://shop.example:{origin.port}/"
    assert (await net.fetch(granted("http://shop.example"), get(url))).status == 200
    with pytest.raises(PermissionDenied):
        await net.fetch(granted("https://shop.example"), get(url))
    with pytest.raises(PermissionDenied, match=r"without --deny-net=http://shop\.example"):
        await net.fetch(granted("shop.example", deny=Permissions(net=["http://shop.example"])), get(url))


PRIVATE = [
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "192.0.0.1", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1", "255.255.255.255", "::1", "::", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1", "fc00::1", "fd00:ec2::254", "fe80::1", "febf::1", "fec0::1", "ff02::1", "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a00:1::1", "2001::1", "2001:0:7f00:1::", "2001:db8::1", "3fff::1",
    "100::1", "4000::1",
]  # fmt: skip
PUBLIC = ["93.184.216.34", "8.8.8.8", "100.63.255.255", "172.32.0.1", "192.167.1.1", "223.255.255.255",
          "2606:2800:220:1::1", "2a00:1450:4001::1", "2001:4860:4860::8888", "::ffff:8.8.8.8"]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
async def test_private_addresses(net: Outbound, names: Names, address: str) -> None:
    """A granted name that leads to an address inside is refused, written plainly or resolved, even with everything
    granted; naming the address as well allows it."""
    assert not is_public(address)
    names.names["rebind.example"] = address
    literal = f"[{address}]" if ":" in address else address
    for permissions in (Permissions(net=True), Permissions(net=["rebind.example"])):
        with pytest.raises(PermissionDenied) as caught:
            await net.fetch(permissions, get("http://rebind.example:9/"))
        assert caught.value.grant.startswith("--allow-net=rebind.example,")
    with pytest.raises(PermissionDenied):
        await net.fetch(Permissions(net=True), get(f"http://{literal}:9/"))
    items = caught.value.grant.removeprefix("--allow-net=").split(",")
    allowed = Permissions(net=items)
    assert allowed.check_address(address, 9, "http", public=False)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    """What belongs to the internet needs no grant of its own."""
    assert is_public(address)


@pytest.mark.parametrize("text", ["", "x.example", "1.2.3.4.5", "fe80::1%eth0", "1.2.3.4/8"])
def test_what_is_no_address_is_not_public(text: str) -> None:
    """Only an address can be public."""
    assert not is_public(text)


@pytest.mark.parametrize(
    "spelling", ["2130706433", "0x7f000001", "017700000001", "127.1", "0x7f.1", "0", "localhost."]
)
async def test_spellings_of_loopback(net: Outbound, names: Names, spelling: str) -> None:
    """Every spelling of an inner address is that address."""
    names.names["localhost"] = LOCAL
    with pytest.raises(PermissionDenied, match=r'net to "(127\.0\.0\.1|0\.0\.0\.0):80"'):
        await net.fetch(Permissions(net=True), get(f"http://{spelling}/"))


async def test_only_checked_addresses_are_connected_to(
    net: Outbound, names: Names, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several addresses only those that passed are tried, and the name is not looked up again."""
    tried: list[str] = []
    client = load_client()

    class Recorder(client.AnyIOBackend):  # type: ignore[misc,name-defined]
        async def connect_tcp(self, host: str, port: int, **options: Any) -> Any:
            tried.append(host)
            raise client.ConnectError("not in this test")

    monkeypatch.setattr(client, "AnyIOBackend", Recorder)
    names.names["mixed.example"] = [
        "10.0.0.1",
        "93.184.216.34",
        "::1",
        "2606:2800:220:1::1",
        "fe80::1%eth0",
        "bogus",
    ]
    with pytest.raises(OutboundFailure, match="not in this test"):
        await net.fetch(Permissions(net=True), get("http://mixed.example/"))
    assert tried == ["93.184.216.34", "2606:2800:220:1::1"]
    assert names.asked == ["mixed.example"]


async def test_denied_networks_hold_after_resolution(net: Outbound, names: Names) -> None:
    """A denial of a public address wins, whatever name leads there."""
    permissions = Permissions(net=True, deny=Permissions(net=["93.184.0.0/16"]))
    with pytest.raises(PermissionDenied, match=r"and without --deny-net=93\.184\.0\.0/16"):
        await net.fetch(permissions, get("http://public.example/"))


NETWORKS = {
    "10.0.0.0/8": "10.1.2.3", "169.254.169.254/32": "169.254.169.254", "fd00::/8": "fd12::1", "::1/128": "::1",
    "::ffff:10.0.0.0/104": "10.1.2.3", "::ffff:0:0/96": "::ffff:192.168.1.1", "2001:db8::/32": "2001:db8::5",
}  # fmt: skip
"""Networks, and an address in each that needs to be granted."""


def literal(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@pytest.mark.parametrize(("network", "address"), NETWORKS.items())
async def test_networks(net: Outbound, names: Names, network: str, address: str) -> None:
    """A network grants its addresses, on its port and scheme: spelled out, or when a granted name leads there."""
    names.names["inner.example"] = address
    bracketed = f"[{network}]" if ":" in network else network
    for item, port in ((network, 9), (f"{bracketed}:9", 9), (f"http://{bracketed}", 9)):
        permissions = Permissions(net=["inner.example", item])
        assert permissions.check_address(address, port, "http", public=False)
        assert permissions.check_net(literal(address), port, "http")
    for item in (f"{bracketed}:10", f"https://{bracketed}:9"):
        for host in ("inner.example", literal(address)):
            with pytest.raises(PermissionDenied, match=r":9\""):
                await net.fetch(Permissions(net=["inner.example", item]), get(f"http://{host}:9/"))


async def test_a_network_is_reached(net: Outbound, origin: Origin) -> None:
    """Requests go to addresses of a granted network, by name and by number."""
    permissions = Permissions(net=["shop.example", f"127.0.0.0/8:{origin.port}"])
    for host in ("shop.example", "127.0.0.1", "[::ffff:127.0.0.1]", "0x7f000001"):
        assert (await net.fetch(permissions, get(f"http://{host}:{origin.port}/"))).status == 200


async def test_a_network_grants_no_names(net: Outbound, names: Names) -> None:
    """A name that is not granted is not even looked up, wherever it would lead; nor is an address outside reached."""
    permissions = Permissions(net=["127.0.0.0/8", "fd00::/8"])
    for host in ("shop.example", "128.0.0.1", "[fe80::1]", "10.0.0.1"):
        with pytest.raises(PermissionDenied):
            await net.fetch(permissions, get(f"http://{host}:9/"))
    assert names.asked == []


@pytest.mark.parametrize(("network", "address"), NETWORKS.items())
@pytest.mark.parametrize("grant", [True, "name", "both"])
async def test_a_denied_network_wins(
    net: Outbound, names: Names, network: str, address: str, grant: bool | str
) -> None:
    """Whatever grants the host or the address, by name or by number, a denied network is not reached."""
    names.names["inner.example"] = address
    items = {True: True, "name": ["inner.example"], "both": ["inner.example", network, literal(address)]}
    permissions = Permissions(net=items[grant], deny=Permissions(net=[network]))
    for host in ("inner.example", literal(address)):
        with pytest.raises(PermissionDenied):
            await net.fetch(permissions, get(f"http://{host}:9/"))
    elsewhere = Permissions(
        net=["inner.example", network], deny=Permissions(net=[f"https://{literal(network)}"])
    )
    assert elsewhere.check_address(address, 9, "http", public=False)
    assert not elsewhere.check_address(address, 9, "https", public=False)


async def test_only_addresses_outside_a_denied_network_are_tried(
    net: Outbound, names: Names, origin: Origin
) -> None:
    """Of a name with several addresses, those in a denied network are left out."""
    names.names["shop.example"] = ["93.184.216.34", "fd12::1", "10.0.0.1", LOCAL]
    denied = Permissions(net=["93.184.0.0/16", "10.0.0.0/8", "fd00::/8"])
    permissions = Permissions(net=["shop.example", "127.0.0.0/8", "10.0.0.0/8"], deny=denied)
    assert (await net.fetch(permissions, get(f"http://shop.example:{origin.port}/"))).status == 200
    names.names["shop.example"] = ["93.184.216.34", "10.0.0.1"]
    with pytest.raises(PermissionDenied, match=r"and without --deny-net=93\.184\.0\.0/16"):
        await net.fetch(permissions, get("http://shop.example/"))


async def test_a_port_of_an_address(net: Outbound, origin: Origin) -> None:
    """An address may be granted for one port."""
    url = f"http://shop.example:{origin.port}/"
    right = Permissions(net=["shop.example", f"{LOCAL}:{origin.port}"])
    assert (await net.fetch(right, get(url))).status == 200
    with pytest.raises(PermissionDenied):
        await net.fetch(Permissions(net=["shop.example", f"{LOCAL}:1"]), get(url))


async def test_audit(net: Outbound, tmp_path: Path) -> None:
    """The host and a refused address are both in the audit."""
    with AuditLog(tmp_path / "audit") as log:
        permissions = Permissions(net=["shop.example"]).audited(log, "guest")
        with pytest.raises(PermissionDenied):
            await net.fetch(permissions, get("http://shop.example/"))
    lines = [json.loads(line) for line in (tmp_path / "audit").read_text().splitlines()]
    assert [(line["target"], line["allowed"]) for line in lines] == [
        ("shop.example:80", True),
        ("127.0.0.1:80", False),
    ]


# Redirects ---------------------------------------------------------------------------------------------


async def test_redirects_are_followed(net: Outbound, origin: Origin) -> None:
    """Five redirects are followed, relative ones too; a sixth is one too many; a guest may follow them itself."""
    base, allowed = f"http://{LOCAL}:{origin.port}", granted()
    url = "/end"
    for _ in range(5):
        url = f"/to?url={url.replace('%', '%25').replace('?', '%3F').replace('=', '%3D').replace('&', '%26')}"
    response = await net.fetch(allowed, get(base + url))
    assert json.loads(response.body)["target"] == "/end"
    assert response.url == base + "/end"
    with pytest.raises(OutboundFailure, match="redirects more than 5 times"):
        await net.fetch(allowed, get(base + "/loop"))
    assert [target for _, target, _, _ in origin.requests].count("/loop") == 6
    stay = await net.fetch(allowed, get(base + "/to?url=/end", follow=False))
    assert (stay.status, dict(stay.headers)["location"]) == (302, "/end")


@pytest.mark.parametrize(
    ("status", "method", "then", "body"),
    [
        (301, "POST", "GET", ""), (302, "POST", "GET", ""), (303, "PUT", "GET", ""), (307, "POST", "POST", "data"),
        (308, "PUT", "PUT", "data"), (301, "PUT", "PUT", "data"), (303, "HEAD", "HEAD", None),
    ],
)  # fmt: skip
async def test_methods_after_redirects(
    net: Outbound, origin: Origin, status: int, method: str, then: str, body: str | None
) -> None:
    """A redirect changes the method where HTTP says so, and then the body is not sent again."""
    url = f"http://{LOCAL}:{origin.port}/to?status={status}&url=/end"
    await net.fetch(granted(), get(url, method=method, body=b"" if body is None else b"data"))
    seen = origin.requests[-1]
    assert (seen[0], seen[1], seen[3]) == (then, "/end", (body or "").encode())


async def test_redirects_are_checked_like_requests(net: Outbound, names: Names, origin: Origin) -> None:
    """A redirect to what is not granted, to loopback or to another scheme ends the call before it is followed."""
    async with serve() as inner:
        permissions = Permissions(net=["shop.example", "public.example", f"{LOCAL}:{origin.port}"])
        for location in (
            f"http://{LOCAL}:{inner.port}/",
            f"http://shop.example:{inner.port}/",
            f"http://other.example:{inner.port}/",
            f"http://2130706433:{inner.port}/",
            f"http://[::1]:{inner.port}/",
            f"http://[::ffff:7f00:1]:{inner.port}/",
            "http://169.254.169.254/latest/meta-data/",
        ):
            with pytest.raises(PermissionDenied):
                await net.fetch(permissions, get(f"http://shop.example:{origin.port}/to?url={location}"))
        for location in (
            "file:///etc/passwd",
            "gopher://x.example/",
            "http://u:p@shop.example/",
            "http://[::1/",
        ):
            with pytest.raises(OutboundFailure, match="redirects to a bad address"):
                await net.fetch(permissions, get(f"http://shop.example:{origin.port}/to?url={location}"))
        assert inner.requests == []


async def test_rebinding_between_redirects(net: Outbound, names: Names, origin: Origin) -> None:
    """A name that changes its address between two hops is checked at each."""
    answers = iter([[LOCAL], ["10.0.0.1"]])

    async def rebinding(_host: str, _port: int) -> Sequence[str]:
        return next(answers)

    net.resolve = rebinding
    url = f"http://shop.example:{origin.port}/to?url=/again"
    with pytest.raises(PermissionDenied, match=r"10\.0\.0\.1"):
        await net.fetch(granted("shop.example"), get(url))


async def test_sensitive_headers_stay_with_their_origin(net: Outbound, origin: Origin) -> None:
    """A guest's own authorization and cookies are not sent on to another host, only to the same one."""
    headers = [("Authorization", "guest"), ("Cookie", "a=1"), ("X-Other", "yes")]
    base, permissions = f"http://shop.example:{origin.port}", granted("shop.example", "other.example")
    await net.fetch(permissions, get(f"{base}/to?url=/same", headers=headers))
    assert origin.headers()["authorization"] == "guest"
    await net.fetch(permissions, get(f"{base}/to?url=http://other.example:{origin.port}/", headers=headers))
    assert "authorization" not in origin.headers()
    assert "cookie" not in origin.headers()
    assert origin.headers()["x-other"] == "yes"


# Credentials -------------------------------------------------------------------------------------------


async def test_credentials_go_to_their_host_alone(net: Outbound, origin: Origin) -> None:
    """The host adds what it was given, over what the guest sent; a redirect elsewhere does not take it along."""
    net.credentials.add(f"http://shop.example:{origin.port}", {"Authorization": Secret("Bearer s3cret")})
    permissions = granted("shop.example", "other.example")
    base = f"http://shop.example:{origin.port}"
    await net.fetch(permissions, get(base + "/", headers=[("authorization", "guest")]))
    assert origin.headers()["authorization"] == "Bearer s3cret"
    assert [name for name, _ in origin.requests[-1][2]].count("authorization") == 1
    await net.fetch(permissions, get(f"http://other.example:{origin.port}/"))
    assert "authorization" not in origin.headers()
    await net.fetch(permissions, get(f"{base}/to?url=http://other.example:{origin.port}/"))
    assert origin.headers(-2)["authorization"] == "Bearer s3cret"
    assert "authorization" not in origin.headers()


async def test_credentials_are_for_https_unless_said_otherwise(net: Outbound) -> None:
    """A host without a scheme means HTTPS; functions are asked each time, async ones are awaited."""
    tokens = iter(["one", "two"])

    async def renewed() -> dict[str, str]:
        return {"Authorization": next(tokens)}

    net.credentials.add("*.example.com", renewed)
    net.credentials.add("api.example.com", {"x-key": "k"})
    assert await net.credentials.headers("http", "api.example.com", 80) == {}
    assert await net.credentials.headers("https", "api.example.com", 443) == {
        "authorization": "one",
        "x-key": "k",
    }
    assert await net.credentials.headers("https", "example.com", 443) == {}
    net.credentials.add("api.example.com", lambda: {"X-Key": "newer"})
    assert (await net.credentials.headers("https", "api.example.com", 443))["x-key"] == "newer"


@pytest.mark.parametrize("headers", [{"x y": "a"}, {"x": "a\r\nb: c"}, {"x": 5}, {5: "x"}, {"": "x"}, "x"])
def test_bad_credentials(net: Outbound, headers: Any) -> None:
    """What is no header is refused when it is added, and a value is never shown."""
    with pytest.raises(ConfigError, match=r"credentials for api\.example\.com") as caught:
        net.credentials.add("api.example.com", headers)
    assert "b: c" not in str(caught.value)
    with pytest.raises(ConfigError):
        net.credentials.add("not a host", {})


# TLS ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for shop.example alone, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=shop.example",
         "-addext", "subjectAltName=DNS:shop.example", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


@pytest.fixture
async def secure(certificate: tuple[Path, Path]) -> AsyncIterator[Origin]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    async with serve(tls=context) as origin:
        yield origin


async def test_tls_verifies_the_name(net: Outbound, secure: Origin, certificate: tuple[Path, Path]) -> None:
    """The connection goes to the address that was checked, and its certificate must be that of the name."""
    net.tls = ssl.create_default_context(cafile=certificate[0])
    permissions = granted("shop.example", "other.example")
    response = await net.fetch(permissions, get(f"https://shop.example:{secure.port}/x"))
    assert response.url == f"https://shop.example:{secure.port}/x"
    for url in (f"https://other.example:{secure.port}/", f"https://{LOCAL}:{secure.port}/"):
        with pytest.raises(OutboundFailure, match="certificate"):
            await net.fetch(permissions, get(url))
    assert len(secure.requests) == 1


async def test_unknown_certificates_are_refused(net: Outbound, secure: Origin) -> None:
    """Without being told to, no self-made certificate is believed."""
    with pytest.raises(OutboundFailure, match="certificate"):
        await net.fetch(granted("shop.example"), get(f"https://shop.example:{secure.port}/"))
    assert secure.requests == []


# The system --------------------------------------------------------------------------------------------


async def test_the_systems_resolver() -> None:
    """Names are looked up by the system, on threads of their own; closing twice is a no-op."""
    resolver = SystemResolver()
    assert LOCAL in await resolver("localhost", 80)
    with pytest.raises(OSError, match=r".+"):
        await resolver("name.invalid", 80)
    resolver.close()
    resolver.close()


async def test_without_the_client(net: Outbound, origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without httpcore the call says how to install it."""
    real = builtins.__import__

    def importer(name: str, *rest: Any) -> Any:
        if name == "httpcore":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", importer)
    with pytest.raises(MissingExtra, match=r'pip install "echelon\[net\]"'):
        await net.fetch(granted(), get(f"http://{LOCAL}:{origin.port}/"))
    assert module.MAX_REDIRECTS == 5
