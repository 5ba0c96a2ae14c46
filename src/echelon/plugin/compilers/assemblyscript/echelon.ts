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
