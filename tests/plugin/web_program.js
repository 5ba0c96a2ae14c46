// What is asked of the web's interfaces, here and in Deno. Every exported function returns what it has seen.

const URLS = [
  "http://a", "HTTP://EXAMPLE.com:80/%7Efoo/../a%2fb?x=1#y", "https://user:pa ss@h:8080/p", "https://u@h",
  "https://:p@h/", "https://@h/", "https://u:@h", "https://a@b@c/", "http:///a//b", "http:a", "http:/a",
  "http:\\\\a\\b", "http://a b/", "http://a%20b", "http://a<b", "http://[::1]", "http://[::1]:8080/",
  "http://[1:2::3:4]", "http://[::ffff:1.2.3.4]/", "http://[1:2:3:4:5:6:7:8]", "http://[1:0:0:2:0:0:0:3]",
  "http://[::]", "http://[::1", "http://[1::2::3]", "http://[12345::]", "http://[1:2:3]", "http://[::1.2.3]",
  "http://[::01.2.3.4]", "http://[:1]", "http://[1:]", "http://[1:2:3:4:5:6:7::]", "http://[g::]", "http://1.2.3.4",
  "http://1.2.3", "http://1.2", "http://1", "http://0x7f.1", "http://0x", "http://017.0.0.1", "http://08",
  "http://256", "http://4294967295", "http://4294967296", "http://1.2.3.256", "http://256.1.1.1", "http://1.2.3.4.5",
  "http://1.2.3.4.", "http://a.1", "http://a.0x1", "http://a.1.", "http://1..2",
  "http://gr\u00f6\u00dfe.de/\u00fc?\u00fc#\u00fc", "http://GR\u00d6SSE.DE", "http://\u65e5\u672c\u8a9e.jp",
  "http://fa\u00df.de", "http://a\u3002b", "http://\ud83e\udd8a.com/\ud83e\udd8a", "http://a\u00adb",
  "http://\uff27\uff2f.com", "http://%41", "http://%zz", "http://%00", "http://a/%zz%4", "http://a/\ud800",
  "http://a?\ud800", "http://a:0", "http://a:65535", "http://a:65536", "http://a:8a", "http://a:", "http://a:00080",
  "https://a:443", "ws://a:80", "wss://a:443", "ftp://a:21/", "http://a/.", "http://a/..", "http://a/./b/../c/",
  "http://a/%2e/%2E%2e/b", "http://a/b/%2e%2e", "http://a/a'b\"c`d{}|^~", "http://a?a'b\"c`d{}|^~<>",
  "http://a#a'b\"c`d{}|^~<>", "http://a?#", "http://a?", "http://a#", "http://a/?a?b#c#d", " http://a\t\n/b\r ",
  "mailto:a@b.c", "data:text/plain,hello world  ", "data:a b #c", "data:a b  ?x", "javascript:alert(1)//\u00fc<>",
  "about:blank", "urn:isbn:1", "blob:https://a:8080/x", "blob:x", "foo://h:80/a/../b?'#x", "foo://user:pw@H",
  "foo:///a", "foo:/a/./b", "foo:a/../b", "foo://", "foo://?x", "foo://a b", "foo://[::1]", "foo://\u00fc",
  "foo://a\\b", "foo:\\a", "foo:/..//a", "foo:", "file:///a/b", "file://h/a", "file://localhost/a", "file:a",
  "file:/a", "file:", "file:///C:/a", "file:///C|/a", "file:///C:/..", "file://C:/a", "file:///a/../C|/b",
  "file:\\\\h\\a", "file://h:80/a", "file:///", "file:////a", "", " ", "a", "//a", "/a", "?a", "#a", ":", "1:a",
  "a-b+c.d:e", "http", "http:", "http:/", "http://", "http://?", "http://@", "http://:80", "http://u@:80", "http://a@",
  "https://a/b c", "http://a\\@b", "http://a/\\b", "http://a;b/", "http://a,b", "http://a!b", "http://a_b",
  "http://-a-", "http://a..b", "http://.", "http://..", "http://a|b", "http://a^b", "http://a`b", "http://a{b}",
  "http://a\u007fb", "http://a\u0001b", "foo://a%b", "foo://a^b", "http://user%40:p%3A@h", "http://\u00fc:\u00df@h",
  "http://a:b:c@h", "wss://a?b=c&d", "http://a/b;c=d", "http://a//", "http://a/b/./", "http://a/b/..",
  "http://a/b/../..", "http://a/.b", "http://a/...",
];
const BASES = [
  "http://user:p@h:81/a/b/c?q=1#f", "https://h", "file:///C:/d/e", "file://host/d/e?q", "foo://h/a/b", "foo:/a/b",
  "mailto:x", "about:blank#x", "a",
];
const RELATIVE = [
  "", "d", "./d", "../d", "../../../d", "/d", "//d", "///d", "\\d", "\\\\d", "?d", "#d", "d?e#f", "http:d", "https:d",
  "https://d", "file:d", "foo:d", ".", "..", "./", "../", "d/..", "%2e%2e/d", "C:/x", "C|/x", "/C:/x", "//C:/x", "C:",
  " d ", "//d:99/e", "//", "///", "d:e", "\u00fc ?\u00fc #\u00fc", "/..//d",
];
const CHANGED = [
  "http://u:p@h:81/a/b?q#f", "https://h", "file:///a/b", "foo://h/a", "foo:/a", "mailto:a",
];
const CHANGES = {
  protocol: [
    "https", "https:", "ftp:x", "foo", "file", "1", "", "HTTPS://x",
  ],
  username: [
    "", "a b:@", "\u00fc",
  ],
  password: [
    "", "a b:@",
  ],
  host: [
    "x", "x:1", "x:99999", "x:a", "", "a b", "[::1]:5", "x/y", "x?y", "x\\y", "x:", "x:80", "1.2", ":5", "u@x",
    "\u00fc",
  ],
  hostname: [
    "x", "x:1", "", "[::1]", "a b", "x#y", "0x7f000001", "[::1]x",
  ],
  port: [
    "", "1", "80", "443", "8a", "a", "65536", "0", " 9", "00012",
  ],
  pathname: [
    "", "x", "/x/../y", "x?y#z", "\\x", "a b", "//x", "%2e%2e/x", "C|/x",
  ],
  search: [
    "", "?", "x", "?a b'<>", "\u00fc", "#",
  ],
  hash: [
    "", "#", "x", "#a b`", "\u00fc",
  ],
  href: [
    "http://new/", "  foo:bar ",
  ],
};
const PARAMS = [
  "", "?", "a=1&a=2&b=3", "?a", "&&a=1&", "=x", "a==b", "a=%20+%2B%zz%E4%ff", "\u00fc=\ud83e\udd8a", "a\u0000b",
  "a=1&A=2&\uffff=3&\ud83e\udd8a=4",
];

const tell = (action) => {
  try { return action(); } catch (error) { return `${error.name}`; }
};
const PARTS = ["href", "origin", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash"];
function parts(input, base) {
  return tell(() => {
    const url = base === null ? new URL(input) : new URL(input, base);
    return [...PARTS.map((name) => url[name]), `${url}` === JSON.parse(JSON.stringify(url)), URL.canParse(url.href),
            new URL(url.href).href === url.href, [...url.searchParams]];
  });
}
function changed(input, name, value) {
  const url = new URL(input);
  url[name] = value;
  return PARTS.map((part) => url[part]);
}
function params(init) {
  return tell(() => {
    const found = new URLSearchParams(init);
    const seen = [found.toString(), found.size, found.get("a"), found.getAll("a"), found.has("a"), found.has("a", "1")];
    found.append("a", "é 🦊&=+");
    found.set("b", "x");
    found.sort();
    seen.push(`${found}`, [...found.keys()], [...found.values()]);
    found.delete("a", "1");
    seen.push(`${found}`);
    found.delete("a");
    const each = [];
    found.forEach((value, key, whole) => each.push([value, key, whole === found]));
    return [...seen, `${found}`, each, Object.prototype.toString.call(found)];
  });
}
export function bound() {
  const url = new URL("http://a/?x=1&y=2#h"), found = url.searchParams, seen = [];
  found.append("z", "ü/?");
  seen.push(url.href);
  found.delete("x");
  url.search = "?q=%20+";
  seen.push(url.href, found.get("q"), found === url.searchParams);
  found.delete("q");
  seen.push(url.href);
  url.href = "http://b/?k=v";
  seen.push([...found], url.href);
  return seen;
}
export function constructed() {
  return [tell(() => URLSearchParams()), tell(() => `${new URLSearchParams([["a"]])}`), `${new URLSearchParams({ a: 1, b: [2] })}`,
    `${new URLSearchParams([["a", "1"], ["a", "2"]])}`, `${new URLSearchParams(new URLSearchParams("?a=b"))}`, URL.parse("x") === null,
    URL.parse("a", "http://b").href, Object.prototype.toString.call(new URL("a:b"))];
}
export function cloned() {
  class Point { constructor() { this.x = 1; } get y() { return 2; } }
  const cyclic = { name: "a" };
  cyclic.self = cyclic;
  const shared = [1], buffer = new Uint8Array([1, 2, 3, 4]).buffer;
  const copy = structuredClone({ cyclic, twice: [shared, shared], date: new Date(5), at: /a+/gi, map: new Map([[shared, new Set([1, "a"])]]),
    view: new Uint16Array(buffer, 2, 1), big: 5n, missing: undefined, boxed: Object(true), point: new Point(), sparse: [1, , 3],
    error: new RangeError("no", { cause: 1 }), other: Object.assign(new Error("x"), { name: "Own" }) });
  const moved = new ArrayBuffer(8), into = structuredClone(moved, { transfer: [moved] });
  return [copy.cyclic.self === copy.cyclic, copy.cyclic !== cyclic, copy.twice[0] === copy.twice[1], copy.date.getTime(), `${copy.at}`,
    [...copy.map][0][0] === copy.twice[0], [...[...copy.map][0][1]], copy.view.length, copy.view.buffer.byteLength, `${copy.big}`,
    "missing" in copy, copy.boxed.valueOf(), Object.keys(copy.point), copy.point instanceof Point, copy.point.constructor === Object,
    1 in copy.sparse, copy.sparse.length, copy.error instanceof RangeError, copy.error.message, copy.error.cause, copy.other.name,
    moved.byteLength, into.byteLength,
    ...[() => 1, Symbol("s"), { f() {} }, new WeakMap(), Promise.resolve()].map((value) => tell(() => structuredClone(value))),
    tell(() => structuredClone(1, { transfer: [moved] }))];
}
export async function aborted() {
  const seen = [], controller = new AbortController(), { signal } = controller;
  signal.addEventListener("abort", () => seen.push("first"));
  signal.addEventListener("abort", { handleEvent(event) { seen.push(event.type, event.target === signal); } });
  const once = () => seen.push("removed");
  signal.addEventListener("abort", once);
  signal.removeEventListener("abort", once);
  const either = AbortSignal.any([signal, new AbortController().signal]);
  either.onabort = () => seen.push("either");
  seen.push(signal.aborted, either.aborted, signal.reason === undefined);
  controller.abort();
  controller.abort("again");
  seen.push(signal.aborted, either.aborted, signal.reason.name, signal.reason instanceof DOMException, either.reason === signal.reason);
  seen.push(tell(() => signal.throwIfAborted()), AbortSignal.abort(7).reason, tell(() => new AbortSignal()));
  const late = AbortSignal.timeout(5);
  await new Promise((resolve) => late.addEventListener("abort", resolve));
  seen.push(late.reason.name);
  for (const stopped of [AbortSignal.abort(), AbortSignal.abort(new RangeError("own"))]) {
    await fetch("http://127.0.0.1:1/", { signal: stopped }).catch((error) => seen.push(error.name));
  }
  return seen;
}
export function events() {
  const seen = [], target = new EventTarget();
  const on = (event) => { seen.push(event.type, event.detail ?? null, event instanceof CustomEvent); event.preventDefault(); };
  target.addEventListener("a", on);
  target.addEventListener("a", on);
  target.addEventListener("a", () => seen.push("once"), { once: true });
  target.addEventListener("b", (event) => event.stopImmediatePropagation());
  target.addEventListener("b", () => seen.push("never"));
  seen.push(target.dispatchEvent(new CustomEvent("a", { detail: 5, cancelable: true })), target.dispatchEvent(new Event("a")),
            target.dispatchEvent(new Event("b")));
  const controller = new AbortController();
  target.addEventListener("c", () => seen.push("gone"), { signal: controller.signal });
  controller.abort();
  target.dispatchEvent(new Event("c"));
  return seen;
}

export const urls = () => URLS.map((url) => [url.toWellFormed(), parts(url, null)]);
export const relative = () => BASES.flatMap((base) => RELATIVE.map((url) => [url, base, parts(url, base)]));
export const setters = () => CHANGED.flatMap((url) => Object.entries(CHANGES).flatMap(([name, values]) =>
  values.map((value) => [url, name, value, changed(url, name, value)])));
export const parameters = () => PARAMS.map((init) => [init, params(init)]);
