// The conformance program in TypeScript; what it has to answer stands in test_conformance.py.

import { env, host, http, Json, kv, log, net } from "echelon";

// @ts-ignore: decorator
@external("shop", "price")
declare function shopPrice(article: usize, length: i32): u32;

export function echo_i8(n: i8): i8 { return n }
export function echo_u8(n: u8): u8 { return n }
export function echo_i16(n: i16): i16 { return n }
export function echo_u16(n: u16): u16 { return n }
export function echo_i32(n: i32): i32 { return n }
export function echo_u32(n: u32): u32 { return n }
export function echo_i64(n: i64): i64 { return n }
export function echo_u64(n: u64): u64 { return n }
export function echo_f32(n: f32): f32 { return n }
export function echo_f64(n: f64): f64 { return n }
export function negate(on: bool): bool { return !on }
export function divide(a: i32, b: i32): i32 { return a / b }

export function greet(who: string): string { return "Hello, " + who + "!" }

export function characters(text: string): u32 {
  let count: u32 = 0;
  for (let i = 0; i < text.length; i++) {
    if ((text.charCodeAt(i) & 0xfc00) != 0xdc00) count++;
  }
  return count;
}

export function reverse(data: Uint8Array): Uint8Array { return data.reverse() }
export function sorted(numbers: i32[]): i32[] { return numbers.sort((a, b) => a < b ? -1 : 1) }

export function total(numbers: f64[]): f64 {
  let sum = 0.0;
  for (let i = 0; i < numbers.length; i++) sum += numbers[i];
  return sum;
}

export function join(words: string[], by: string): string { return words.join(by) }
export function split(text: string, by: string): string[] { return text.split(by) }

export function first(text: string | null): string | null {
  return text === null ? null : text.substr(0, 1);
}

export function wrap(value: Json): Json { return Json.object().with("value", value).with("ok", true) }

export function checksum(data: Uint8Array): u32 {
  let sum: u32 = 0;
  for (let i = 0; i < data.length; i++) sum += data[i];
  return sum;
}

export function repeat(text: string, times: u32): string { return text.repeat(times) }
export function refuse(why: string): void { throw new Error(why) }
export function spin(): void { while (true) {} }

let calls = 0;
export function count_up(): i32 { return ++calls }

export function variable(name: string): string | null { return env.get(name) }
export function note(text: string): void { log.info(text) }

function key(name: string): kv.Key { return kv.key("conformance").text(name) }
export function store(name: string, value: string): void { kv.setText(key(name), value) }
export function forget(name: string): void { kv.remove(key(name)) }

export function load(name: string): string | null {
  const found = kv.get(key(name));
  return found === null ? null : found.text();
}

export function tally(name: string, n: u32): u64 {
  const counter = kv.key("conformance").text("tally").text(name);
  kv.atomic().sum(counter, n).commit();
  return kv.get(counter)!.number();
}

export function claim(name: string, value: string): bool {
  return kv.atomic().check(key(name), "").setText(key(name), value).commit() !== null;
}

export function names(limit: i32, cursor: string): string[] {
  const page = kv.list(key("page"), limit, cursor);
  const made: string[] = [];
  for (let i = 0; i < page.entries.length; i++) made.push(page.entries[i].key.textAt(2));
  made.push(page.cursor);
  return made;
}

export function parts(name: string): string {
  const raw = new Uint8Array(2);
  raw[1] = 255;
  kv.setText(key(name).int(-7).float(0.5).bool(true).bytes(raw.buffer), "found");
  const entry = kv.list(key(name)).entries[0], found = entry.key;
  return found.intAt(2).toString() + " " + found.floatAt(3).toString() + " " + found.boolAt(4).toString() + " "
    + found.bytesAt(5).byteLength.toString() + " " + entry.text();
}

export function ask(url: string): string {
  const answer = net.get(url);
  return answer.status.toString() + " " + answer.text();
}

export function price(article: string): u32 {
  const name = String.UTF8.encode(article);
  return shopPrice(changetype<usize>(name), name.byteLength);
}

function answer(request: http.Request): http.Response {
  const text = request.method + " " + request.path + " " + request.query + " " + request.text();
  const response = http.text(text, 201);
  response.headers.set("x-heard", request.headers.has("x-say") ? request.headers.get("x-say") : "nothing");
  return response;
}

export function handle(raw: ArrayBuffer): ArrayBuffer { return http.serve(raw, answer) }
