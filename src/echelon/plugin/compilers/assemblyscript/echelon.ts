// The guest kit: what a TypeScript guest may ask of its host. `import { env, log, file } from "echelon"`.
// Text crosses as UTF-8. The host keeps the result of its last call until `take` copies it into this memory.

import { Json } from "echelon/json";

export { Json };

// @ts-ignore: decorator
@external("echelon", "env_get")
declare function envGet(name: usize, length: i32): i32;
// @ts-ignore: decorator
@external("echelon", "take")
declare function take(into: usize): void;
// @ts-ignore: decorator
@external("echelon", "log")
declare function write(level: i32, text: usize, length: i32): void;
// @ts-ignore: decorator
@external("echelon", "read_file")
declare function readFile(path: usize, length: i32): i32;
// @ts-ignore: decorator
@external("echelon", "write_file")
declare function writeFile(path: usize, length: i32, data: usize, size: i32): i32;

// @ts-ignore: decorator
@external("echelon", "kv_get")
declare function kvGet(key: usize, length: i32): i32;
// @ts-ignore: decorator
@external("echelon", "kv_set")
declare function kvSet(key: usize, length: i32, kind: i32, value: usize, size: i32, expireIn: i64): i32;
// @ts-ignore: decorator
@external("echelon", "kv_delete")
declare function kvDelete(key: usize, length: i32): void;
// @ts-ignore: decorator
@external("echelon", "kv_list")
declare function kvList(request: usize, length: i32): i32;
// @ts-ignore: decorator
@external("echelon", "kv_atomic")
declare function kvAtomic(request: usize, length: i32): i32;

// @ts-ignore: decorator
@external("echelon", "fetch")
declare function doFetch(request: usize, length: i32): i32;

function taken(length: i32): ArrayBuffer | null {
  if (length < 0) return null;
  const buffer = new ArrayBuffer(length);
  take(changetype<usize>(buffer));
  return buffer;
}

/** Takes one value after another out of a buffer of the host. */
class Reader {
  private at: i32 = 0;
  private data: DataView;

  constructor(buffer: ArrayBuffer) {
    this.data = new DataView(buffer);
  }

  number(): i32 {
    const value = this.data.getInt32(this.at, true);
    this.at += 4;
    return value;
  }

  long(): i64 {
    const value = this.data.getInt64(this.at, true);
    this.at += 8;
    return value;
  }

  bytes(): ArrayBuffer {
    const length = this.number();
    const part = this.data.buffer.slice(this.at, this.at + length);
    this.at += length;
    return part;
  }

  text(): string {
    return String.UTF8.decode(this.bytes());
  }
}

/** Puts one value after another into a buffer for the host. */
class Writer {
  private data: ArrayBuffer = new ArrayBuffer(256);
  private size: i32 = 0;

  private room(more: i32): usize {
    const needed = this.size + more;
    if (needed > this.data.byteLength) {
      const larger = new ArrayBuffer(max(needed, 2 * this.data.byteLength));
      memory.copy(changetype<usize>(larger), changetype<usize>(this.data), this.size);
      this.data = larger;
    }
    const at = changetype<usize>(this.data) + this.size;
    this.size = needed;
    return at;
  }

  number(value: i32): void {
    store<i32>(this.room(4), value);
  }

  long(value: i64): void {
    store<i64>(this.room(8), value);
  }

  raw(content: ArrayBuffer): void {
    memory.copy(this.room(content.byteLength), changetype<usize>(content), content.byteLength);
  }

  bytes(content: ArrayBuffer): void {
    this.number(content.byteLength);
    this.raw(content);
  }

  text(content: string): void {
    this.bytes(String.UTF8.encode(content));
  }

  headers(headers: Map<string, string>): void {
    const names = headers.keys();
    this.number(names.length);
    for (let i = 0; i < names.length; i++) {
      this.text(names[i]);
      this.text(headers.get(names[i]));
    }
  }

  buffer(): ArrayBuffer {
    return this.data.slice(0, this.size);
  }
}

function send(level: i32, message: string): void {
  const text = String.UTF8.encode(message);
  write(level, changetype<usize>(text), text.byteLength);
}

/** What functions of the application need: `@external("shop", "stock") declare function stock(…): i32`. */
export namespace host {
  /** Return what the last host function has given, whose result was this length; null for -1, which is None. */
  export function take(length: i32): ArrayBuffer | null {
    return taken(length);
  }

  /** Return it as text; JSON is text, too. */
  export function takeText(length: i32): string | null {
    const content = taken(length);
    return content === null ? null : String.UTF8.decode(content);
  }
}

export namespace env {
  /** Return a variable's value, or null when it is not set. */
  export function get(name: string): string | null {
    const key = String.UTF8.encode(name);
    const value = taken(envGet(changetype<usize>(key), key.byteLength));
    return value === null ? null : String.UTF8.decode(value);
  }
}

export namespace log {
  export function debug(message: string): void {
    send(0, message);
  }

  export function info(message: string): void {
    send(1, message);
  }

  export function warn(message: string): void {
    send(2, message);
  }

  export function error(message: string): void {
    send(3, message);
  }
}

export namespace file {
  /** Return a file's bytes, or null when there is no such file. */
  export function read(path: string): ArrayBuffer | null {
    const name = String.UTF8.encode(path);
    return taken(readFile(changetype<usize>(name), name.byteLength));
  }

  /** Return a file's content as text, or null when there is no such file. */
  export function readText(path: string): string | null {
    const content = read(path);
    return content === null ? null : String.UTF8.decode(content);
  }

  /** Replace a file's content. */
  export function write(path: string, content: ArrayBuffer): void {
    const name = String.UTF8.encode(path);
    const status = writeFile(changetype<usize>(name), name.byteLength, changetype<usize>(content), content.byteLength);
    if (status != 0) throw new Error("cannot write " + path);
  }

  /** Replace a file's content with text. */
  export function writeText(path: string, content: string): void {
    write(path, String.UTF8.encode(content));
  }
}

export namespace http {
  /** One request; `path` is relative to where the guest is mounted. Texts are UTF-8. */
  export class Request {
    method: string = "";
    path: string = "";
    query: string = "";
    headers: Map<string, string> = new Map();
    body: ArrayBuffer = new ArrayBuffer(0);

    /** Return the body as text. */
    text(): string {
      return String.UTF8.decode(this.body);
    }

    /** Return the body as JSON; throws when it is none. */
    json(): Json {
      return Json.parse(this.text());
    }
  }

  export class Response {
    status: i32 = 200;
    headers: Map<string, string> = new Map();
    body: ArrayBuffer = new ArrayBuffer(0);
  }

  /** Return a response with a text body. */
  export function text(content: string, status: i32 = 200, type: string = "text/plain; charset=utf-8"): Response {
    const response = new Response();
    response.status = status;
    response.headers.set("content-type", type);
    response.body = String.UTF8.encode(content);
    return response;
  }

  /** Return a response with a JSON body. */
  export function json(content: Json, status: i32 = 200): Response {
    return text(content.toString(), status, "application/json");
  }

  function decode(raw: ArrayBuffer): Request {
    const reader = new Reader(raw);
    if (reader.number() != 1) throw new Error("this guest speaks version 1 of Echelon's HTTP ABI");
    const request = new Request();
    request.method = reader.text();
    request.path = reader.text();
    request.query = reader.text();
    for (let left = reader.number(); left > 0; left--) {
      const name = reader.text().toLowerCase();
      request.headers.set(name, reader.text());
    }
    request.body = reader.bytes();
    return request;
  }

  function encode(response: Response): ArrayBuffer {
    const writer = new Writer();
    writer.number(1);
    writer.number(response.status);
    writer.headers(response.headers);
    writer.bytes(response.body);
    return writer.buffer();
  }

  /** Answer one request: `export function handle(raw: ArrayBuffer): ArrayBuffer { return http.serve(raw, answer) }`. */
  export function serve(raw: ArrayBuffer, answer: (request: Request) => Response): ArrayBuffer {
    return encode(answer(decode(raw)));
  }
}

/** The key-value store. Keys must be granted; times are milliseconds, 0 is for ever. */
export namespace kv {
  const BYTES = 0, TEXT = 1, JSON = 2, NUMBER = 3;

  /** A key: `kv.key("users").int(1)`. */
  export class Key {
    private parts: ArrayBuffer[] = [];

    private add(kind: i32, content: ArrayBuffer, counted: bool): Key {
      const writer = new Writer();
      writer.number(kind);
      if (counted) writer.bytes(content);
      else writer.raw(content);
      this.parts.push(writer.buffer());
      return this;
    }

    bytes(part: ArrayBuffer): Key {
      return this.add(1, part, true);
    }

    text(part: string): Key {
      return this.add(2, String.UTF8.encode(part), true);
    }

    int(part: i64): Key {
      const content = new ArrayBuffer(8);
      store<i64>(changetype<usize>(content), part);
      return this.add(3, content, false);
    }

    float(part: f64): Key {
      const content = new ArrayBuffer(8);
      store<f64>(changetype<usize>(content), part);
      return this.add(4, content, false);
    }

    bool(part: bool): Key {
      const content = new ArrayBuffer(4);
      store<i32>(changetype<usize>(content), i32(part));
      return this.add(5, content, false);
    }

    get length(): i32 {
      return this.parts.length;
    }

    /** Return what a part is: 1 bytes, 2 text, 3 int, 4 float, 5 bool, 6 a larger whole number as text. */
    kindAt(index: i32): i32 {
      return load<i32>(changetype<usize>(this.parts[index]));
    }

    bytesAt(index: i32): ArrayBuffer {
      if (this.kindAt(index) != 1) throw new Error("this part of the key is not bytes");
      return this.parts[index].slice(8);
    }

    textAt(index: i32): string {
      const kind = this.kindAt(index);
      if (kind != 2 && kind != 6) throw new Error("this part of the key is not a text");
      return String.UTF8.decode(this.parts[index].slice(8));
    }

    intAt(index: i32): i64 {
      if (this.kindAt(index) != 3) throw new Error("this part of the key is not an int");
      return load<i64>(changetype<usize>(this.parts[index]), 4);
    }

    floatAt(index: i32): f64 {
      if (this.kindAt(index) != 4) throw new Error("this part of the key is not a float");
      return load<f64>(changetype<usize>(this.parts[index]), 4);
    }

    boolAt(index: i32): bool {
      if (this.kindAt(index) != 5) throw new Error("this part of the key is not a bool");
      return load<i32>(changetype<usize>(this.parts[index]), 4) != 0;
    }

    write(writer: Writer): void {
      writer.number(this.parts.length);
      for (let i = 0; i < this.parts.length; i++) writer.raw(this.parts[i]);
    }

    encode(): ArrayBuffer {
      const writer = new Writer();
      this.write(writer);
      return writer.buffer();
    }

    static read(reader: Reader): Key {
      const key = new Key();
      for (let left = reader.number(); left > 0; left--) {
        const kind = reader.number();
        if (kind == 3 || kind == 4) {
          const content = new ArrayBuffer(8);
          store<i64>(changetype<usize>(content), reader.long());
          key.add(kind, content, false);
        } else if (kind == 5) {
          key.bool(reader.number() != 0);
        } else {
          key.add(kind, reader.bytes(), true);
        }
      }
      return key;
    }
  }

  /** Begin a key. */
  export function key(first: string): Key {
    return new Key().text(first);
  }

  /** What is stored under a key. `kind` is 0 bytes, 1 text, 2 JSON, 3 a number for sum, min and max. */
  export class Entry {
    constructor(
      public key: Key,
      public versionstamp: string,
      public kind: i32,
      public content: ArrayBuffer,
    ) {}

    /** Return a text, or any other value but bytes and numbers as JSON. */
    text(): string {
      return String.UTF8.decode(this.content);
    }

    json(): Json {
      return Json.parse(this.text());
    }

    number(): u64 {
      if (this.kind != NUMBER) throw new Error("this entry is not a number");
      return load<u64>(changetype<usize>(this.content));
    }
  }

  function entry(key: Key, reader: Reader): Entry {
    const versionstamp = reader.text();
    const kind = reader.number();
    return new Entry(key, versionstamp, kind, reader.bytes());
  }

  function put(key: Key, kind: i32, value: ArrayBuffer, expireIn: i64): string {
    const name = key.encode();
    const size = value.byteLength;
    const stamp = taken(kvSet(changetype<usize>(name), name.byteLength, kind, changetype<usize>(value), size, expireIn));
    return stamp === null ? "" : String.UTF8.decode(stamp);
  }

  function eight(value: u64): ArrayBuffer {
    const content = new ArrayBuffer(8);
    store<u64>(changetype<usize>(content), value);
    return content;
  }

  /** Return what is stored under a key, or null. */
  export function get(key: Key): Entry | null {
    const name = key.encode();
    const found = taken(kvGet(changetype<usize>(name), name.byteLength));
    return found === null ? null : entry(key, new Reader(found));
  }

  /** Store bytes and return their versionstamp. */
  export function set(key: Key, value: ArrayBuffer, expireIn: i64 = 0): string {
    return put(key, BYTES, value, expireIn);
  }

  export function setText(key: Key, value: string, expireIn: i64 = 0): string {
    return put(key, TEXT, String.UTF8.encode(value), expireIn);
  }

  /** Store a value that is given as JSON. */
  export function setJson(key: Key, value: string, expireIn: i64 = 0): string {
    return put(key, JSON, String.UTF8.encode(value), expireIn);
  }

  /** Store a number for `sum`, `min` and `max`. */
  export function setNumber(key: Key, value: u64, expireIn: i64 = 0): string {
    return put(key, NUMBER, eight(value), expireIn);
  }

  export function remove(key: Key): void {
    const name = key.encode();
    kvDelete(changetype<usize>(name), name.byteLength);
  }

  /** Some entries; `cursor` goes on after them and is empty when there are no more. */
  export class Page {
    entries: Entry[] = [];
    cursor: string = "";
  }

  /** Return the entries below a prefix in the order of their keys, at most `limit` of them and about a MiB. */
  export function list(
    prefix: Key,
    limit: i32 = 100,
    cursor: string = "",
    reverse: bool = false,
    start: Key | null = null,
    end: Key | null = null,
  ): Page {
    const writer = new Writer();
    prefix.write(writer);
    writer.number(i32(start !== null));
    if (start !== null) start.write(writer);
    writer.number(i32(end !== null));
    if (end !== null) end.write(writer);
    writer.number(limit);
    writer.number(i32(reverse));
    writer.text(cursor);
    const request = writer.buffer();
    const answer = taken(kvList(changetype<usize>(request), request.byteLength));
    const page = new Page();
    if (answer === null) return page;
    const reader = new Reader(answer);
    for (let left = reader.number(); left > 0; left--) {
      const key = Key.read(reader);
      page.entries.push(entry(key, reader));
    }
    page.cursor = reader.text();
    return page;
  }

  /** Checks and changes that happen together or not at all. */
  export class Atomic {
    private checks: Writer = new Writer();
    private changes: Writer = new Writer();
    private checkCount: i32 = 0;
    private changeCount: i32 = 0;

    /** Require that a key still has this versionstamp; an empty one requires that it is absent. */
    check(key: Key, versionstamp: string): Atomic {
      key.write(this.checks);
      this.checks.text(versionstamp);
      this.checkCount++;
      return this;
    }

    private begin(action: i32, key: Key): Writer {
      this.changes.number(action);
      key.write(this.changes);
      this.changeCount++;
      return this.changes;
    }

    private put(key: Key, kind: i32, value: ArrayBuffer, expireIn: i64): Atomic {
      const writer = this.begin(1, key);
      writer.long(expireIn);
      writer.number(kind);
      writer.bytes(value);
      return this;
    }

    set(key: Key, value: ArrayBuffer, expireIn: i64 = 0): Atomic {
      return this.put(key, BYTES, value, expireIn);
    }

    setText(key: Key, value: string, expireIn: i64 = 0): Atomic {
      return this.put(key, TEXT, String.UTF8.encode(value), expireIn);
    }

    setJson(key: Key, value: string, expireIn: i64 = 0): Atomic {
      return this.put(key, JSON, String.UTF8.encode(value), expireIn);
    }

    setNumber(key: Key, value: u64, expireIn: i64 = 0): Atomic {
      return this.put(key, NUMBER, eight(value), expireIn);
    }

    remove(key: Key): Atomic {
      this.begin(2, key);
      return this;
    }

    /** Add to the number under a key; an absent one counts as 0. */
    sum(key: Key, operand: u64): Atomic {
      this.begin(3, key).long(operand);
      return this;
    }

    min(key: Key, operand: u64): Atomic {
      this.begin(4, key).long(operand);
      return this;
    }

    max(key: Key, operand: u64): Atomic {
      this.begin(5, key).long(operand);
      return this;
    }

    /** Apply everything and return the versionstamp, or nothing and return null when a check does not hold. */
    commit(): string | null {
      const writer = new Writer();
      writer.number(this.checkCount);
      writer.raw(this.checks.buffer());
      writer.number(this.changeCount);
      writer.raw(this.changes.buffer());
      const request = writer.buffer();
      const stamp = taken(kvAtomic(changetype<usize>(request), request.byteLength));
      return stamp === null ? null : String.UTF8.decode(stamp);
    }
  }

  export function atomic(): Atomic {
    return new Atomic();
  }
}

/** HTTP requests, made by the host. The hosts must be granted; names of headers are in lower case. */
export namespace net {
  export class Request {
    method: string = "GET";
    headers: Map<string, string> = new Map();
    body: ArrayBuffer = new ArrayBuffer(0);
    /** Whether redirects are followed, at most 5 of them. */
    follow: bool = true;

    constructor(public url: string) {}

    /** Set a header. */
    header(name: string, value: string): Request {
      this.headers.set(name, value);
      return this;
    }

    /** Send a text; without a method of its own the request becomes a POST. */
    text(content: string, type: string = "text/plain; charset=utf-8"): Request {
      if (this.method == "GET") this.method = "POST";
      this.headers.set("content-type", type);
      this.body = String.UTF8.encode(content);
      return this;
    }

    /** Send JSON. */
    json(content: Json): Request {
      return this.text(content.toString(), "application/json");
    }
  }

  export class Response {
    /** 0 when there is no answer; `text()` says why. */
    status: i32 = 0;
    url: string = "";
    headers: Map<string, string> = new Map();
    body: ArrayBuffer = new ArrayBuffer(0);

    get ok(): bool {
      return this.status >= 200 && this.status < 300;
    }

    text(): string {
      return String.UTF8.decode(this.body);
    }

    json(): Json {
      return Json.parse(this.text());
    }
  }

  /** Make a request. A host that is not granted stops the call; a network that fails is a status of 0. */
  export function fetch(request: Request): Response {
    const writer = new Writer();
    writer.number(1);
    writer.text(request.method);
    writer.text(request.url);
    writer.number(i32(!request.follow));
    writer.headers(request.headers);
    writer.bytes(request.body);
    const buffer = writer.buffer();
    const answer = taken(doFetch(changetype<usize>(buffer), buffer.byteLength));
    const response = new Response();
    if (answer === null) return response;
    const reader = new Reader(answer);
    if (reader.number() != 1) throw new Error("this guest speaks version 1 of Echelon's HTTP ABI");
    response.status = reader.number();
    response.url = reader.text();
    for (let left = reader.number(); left > 0; left--) {
      const name = reader.text();
      const value = reader.text();
      const before = response.headers.has(name) ? response.headers.get(name) + ", " : "";
      response.headers.set(name, before + value);
    }
    response.body = reader.bytes();
    return response;
  }

  /** Get what is at an address. */
  export function get(url: string): Response {
    return fetch(new Request(url));
  }
}
