// The guest kit: what a TypeScript guest may ask of its host. `import { env, log, file } from "echelon"`.
// Text crosses as UTF-8. The host keeps the result of its last call until `take` copies it into this memory.

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

function taken(length: i32): ArrayBuffer | null {
  if (length < 0) return null;
  const buffer = new ArrayBuffer(length);
  take(changetype<usize>(buffer));
  return buffer;
}

function send(level: i32, message: string): void {
  const text = String.UTF8.encode(message);
  write(level, changetype<usize>(text), text.byteLength);
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

  class Reader {
    private at: i32 = 0;
    constructor(private data: DataView) {}

    number(): i32 {
      const value = this.data.getInt32(this.at, true);
      this.at += 4;
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

  function put(parts: ArrayBuffer[], content: ArrayBuffer): void {
    const length = new ArrayBuffer(4);
    store<i32>(changetype<usize>(length), content.byteLength);
    parts.push(length);
    parts.push(content);
  }

  function word(value: i32): ArrayBuffer {
    const buffer = new ArrayBuffer(4);
    store<i32>(changetype<usize>(buffer), value);
    return buffer;
  }

  function decode(raw: ArrayBuffer): Request {
    const reader = new Reader(new DataView(raw));
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
    const names = response.headers.keys();
    const parts: ArrayBuffer[] = [word(1), word(response.status), word(names.length)];
    for (let i = 0; i < names.length; i++) {
      put(parts, String.UTF8.encode(names[i]));
      put(parts, String.UTF8.encode(response.headers.get(names[i])));
    }
    put(parts, response.body);
    let size = 0;
    for (let i = 0; i < parts.length; i++) size += parts[i].byteLength;
    const out = new ArrayBuffer(size);
    let at = changetype<usize>(out);
    for (let i = 0; i < parts.length; i++) {
      memory.copy(at, changetype<usize>(parts[i]), parts[i].byteLength);
      at += parts[i].byteLength;
    }
    return out;
  }

  /** Answer one request: `export function handle(raw: ArrayBuffer): ArrayBuffer { return http.serve(raw, answer) }`. */
  export function serve(raw: ArrayBuffer, answer: (request: Request) => Response): ArrayBuffer {
    return encode(answer(decode(raw)));
  }
}
