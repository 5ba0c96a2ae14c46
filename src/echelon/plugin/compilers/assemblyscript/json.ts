// JSON for guests: `import { Json } from "echelon"`. A value is its text; what is asked for is looked up in it.

/** Behind white space. */
function behindSpace(text: string, at: i32): i32 {
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code != 0x20 && code != 0x0a && code != 0x0d && code != 0x09) break;
    at++;
  }
  return at;
}

function isDigit(text: string, at: i32): bool {
  return at < text.length && u32(text.charCodeAt(at)) - 0x30 < 10;
}

function malformed(text: string, at: i32): void {
  throw new Error(at < text.length ? "this is no JSON from character " + (at + 1).toString() + " on" : "this JSON ends too early");
}

function behindDigits(text: string, at: i32): i32 {
  if (!isDigit(text, at)) malformed(text, at);
  while (isDigit(text, at)) at++;
  return at;
}

function behindNumber(text: string, at: i32): i32 {
  if (text.charCodeAt(at) == 0x2d) at++;
  at = at < text.length && text.charCodeAt(at) == 0x30 ? at + 1 : behindDigits(text, at);
  if (at < text.length && text.charCodeAt(at) == 0x2e) at = behindDigits(text, at + 1);
  if (at < text.length && (text.charCodeAt(at) | 0x20) == 0x65) {
    at++;
    if (at < text.length && (text.charCodeAt(at) == 0x2b || text.charCodeAt(at) == 0x2d)) at++;
    at = behindDigits(text, at);
  }
  return at;
}

function behindText(text: string, at: i32): i32 {
  if (at >= text.length || text.charCodeAt(at) != 0x22) malformed(text, at);
  for (at++; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code == 0x22) return at + 1;
    if (code < 0x20) break;
    if (code != 0x5c) continue;
    const escape = ++at < text.length ? text.charAt(at) : "";
    if (escape == "u") {
      for (const end = at + 4; at < end; ) {
        const digit = ++at < text.length ? text.charCodeAt(at) | 0x20 : 0;
        if (!isDigit(text, at) && (digit < 0x61 || digit > 0x66)) malformed(text, at);
      }
    } else if (escape == "" || !'"\\/bfnrt'.includes(escape)) {
      break;
    }
  }
  malformed(text, at);
  return at;
}

/** Behind the value that begins here; throws when it is none, and when it nests too deeply. */
function behindValue(text: string, at: i32, depth: i32 = 0): i32 {
  if (at >= text.length) malformed(text, at);
  if (depth > 500) throw new Error("this JSON nests too deeply");
  const code = text.charCodeAt(at);
  if (code == 0x22) return behindText(text, at);
  if (code == 0x2d || isDigit(text, at)) return behindNumber(text, at);
  if (code != 0x7b && code != 0x5b) {
    const word = code == 0x74 ? "true" : code == 0x66 ? "false" : "null";
    if (text.substr(at, word.length) != word) malformed(text, at);
    return at + word.length;
  }
  const close = code + 2; // ] and } stand two behind [ and {
  at = behindSpace(text, at + 1);
  if (at < text.length && text.charCodeAt(at) == close) return at + 1;
  while (true) {
    if (close == 0x7d) {
      at = behindSpace(text, behindText(text, at));
      if (at >= text.length || text.charCodeAt(at) != 0x3a) malformed(text, at);
      at = behindSpace(text, at + 1);
    }
    at = behindSpace(text, behindValue(text, at, depth + 1));
    if (at >= text.length) malformed(text, at);
    const next = text.charCodeAt(at);
    if (next == close) return at + 1;
    if (next != 0x2c) malformed(text, at);
    at = behindSpace(text, at + 1);
  }
}

function quoted(text: string): string {
  let out = '"', start = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code >= 0x20 && code != 0x22 && code != 0x5c) continue;
    out += text.substring(start, at);
    out += code < 0x20 ? "\\u00" + (code < 0x10 ? "0" : "1") + "0123456789abcdef".charAt(code & 15) : "\\" + text.charAt(at);
    start = at + 1;
  }
  return out + text.substring(start) + '"';
}

function unquoted(text: string): string {
  let out = "", start = 1;
  for (let at = text.indexOf("\\"); at >= 0; at = text.indexOf("\\", start)) {
    out += text.substring(start, at);
    const escape = text.charAt(at + 1);
    const place = "bfnrt".indexOf(escape);
    start = at + (escape == "u" ? 6 : 2);
    if (escape == "u") out += String.fromCharCode(i32(parseInt(text.substring(at + 2, at + 6), 16)));
    else out += place < 0 ? escape : "\b\f\n\r\t".charAt(place);
  }
  return out + text.substring(start, text.length - 1);
}

/**
 * A JSON value; as a parameter or a result, any value to the caller.
 * `value.get("items").at(0).toNumber()`, `Json.object().with("total", 3).with("of", ["a", "b"])`
 */
export class Json {
  private constructor(private text: string) {} // the host makes objects of this class: no other field, no other order

  /** Read a text; throws when it is no JSON. */
  static parse(text: string): Json {
    const start = behindSpace(text, 0);
    const end = behindValue(text, start);
    const rest = behindSpace(text, end);
    if (rest < text.length) malformed(text, rest);
    return new Json(text.substring(start, end));
  }

  /** Make one of a number, bool, string, array, another Json, or null. */
  static of<T>(value: T): Json {
    if (isNullable<T>() && changetype<usize>(value) == 0) return new Json("null");
    if (isString<T>()) return new Json(quoted(value as string));
    if (isBoolean<T>()) return new Json(value ? "true" : "false");
    if (isInteger<T>()) return new Json(value.toString());
    if (isFloat<T>()) {
      if (!isFinite(value)) throw new Error("JSON has no " + value.toString());
      return new Json(value.toString());
    }
    if (isArray<T>()) {
      const parts: string[] = [];
      for (let i = 0; i < value.length; i++) parts.push(Json.of(value[i]).text);
      return new Json("[" + parts.join(",") + "]");
    }
    if (value instanceof Json) return value as Json;
    ERROR("Json.of takes numbers, bool, strings, arrays of these, and Json");
  }

  /** Return an object without fields, for `with`. */
  static object(): Json {
    return new Json("{}");
  }

  /** Return this object with one more field. */
  with<T>(name: string, value: T): Json {
    this.require("object");
    const start = this.text.substring(0, this.text.length - 1).trimEnd();
    return new Json(start + (start.endsWith("{") ? "" : ",") + quoted(name) + ":" + Json.of(value).text + "}");
  }

  /** Return "null", "bool", "number", "string", "array" or "object". */
  get kind(): string {
    const first = this.text.charAt(0);
    if (first == '"') return "string";
    if (first == "[") return "array";
    if (first == "{") return "object";
    return first == "n" ? "null" : first == "t" || first == "f" ? "bool" : "number";
  }

  get isNull(): bool {
    return this.text == "null";
  }

  private require(kind: string): void {
    if (this.kind != kind) throw new Error("this JSON is of kind " + this.kind + ", not " + kind);
  }

  /** Return a string's characters. */
  toText(): string {
    this.require("string");
    return unquoted(this.text);
  }

  toNumber(): f64 {
    this.require("number");
    return parseFloat(this.text);
  }

  /** Return a whole number exactly; throws for any other. */
  toInt(): i64 {
    this.require("number");
    const number = I64.parseInt(this.text);
    if (number.toString() != this.text) throw new Error(this.text + " is no whole number of 64 bits");
    return number;
  }

  toBool(): bool {
    this.require("bool");
    return this.text == "true";
  }

  /** Return an array's items, or the values of an object's fields. */
  items(): Json[] {
    const fields = this.kind == "object";
    if (!fields) this.require("array");
    const found: Json[] = [];
    for (let at = behindSpace(this.text, 1); at < this.text.length - 1; ) {
      if (fields) at = behindSpace(this.text, behindSpace(this.text, behindText(this.text, at)) + 1);
      const end = behindValue(this.text, at);
      found.push(new Json(this.text.substring(at, end)));
      at = behindSpace(this.text, behindSpace(this.text, end) + 1);
    }
    return found;
  }

  /** Return the names of an object's fields. */
  names(): string[] {
    this.require("object");
    const found: string[] = [];
    for (let at = behindSpace(this.text, 1); at < this.text.length - 1; ) {
      const end = behindText(this.text, at);
      found.push(unquoted(this.text.substring(at, end)));
      at = behindValue(this.text, behindSpace(this.text, behindSpace(this.text, end) + 1));
      at = behindSpace(this.text, behindSpace(this.text, at) + 1);
    }
    return found;
  }

  /** Return how many items or fields there are. */
  get length(): i32 {
    return this.items().length;
  }

  /** Return a field of an object, JSON null when it has none of that name. */
  get(name: string): Json {
    const names = this.names();
    const place = names.lastIndexOf(name);
    return place < 0 ? new Json("null") : this.items()[place];
  }

  /** Return an item of an array. */
  at(index: i32): Json {
    return this.items()[index];
  }

  /** Return the text of the value. */
  toString(): string {
    return this.text;
  }
}
