// The conformance program in JavaScript; what it has to answer stands in test_conformance.py.

import { env, kv, log } from "echelon";

const echo = (value) => value;
export {
  echo as echo_i8, echo as echo_u8, echo as echo_i16, echo as echo_u16, echo as echo_i32, echo as echo_u32,
  echo as echo_i64, echo as echo_u64, echo as echo_f32, echo as echo_f64,
};

export function negate(on) { return !on }

export function divide(a, b) {
  if (b === 0) throw new RangeError("division by zero");
  return Math.trunc(a / b);
}

export function greet(who) { return `Hello, ${who}!` }
export function characters(text) { return [...text].length }
export function reverse(data) { return data.reverse() }
export function sorted(numbers) { return numbers.sort((a, b) => a - b) }
export function total(numbers) { return numbers.reduce((sum, number) => sum + number, 0) }
export function join(words, by) { return words.join(by) }
export function split(text, by) { return text.split(by) }
export function first(text) { return text === null ? null : text.slice(0, 1) }
export function half(n) { return n === null ? null : n / 2 }
export function wrap(value) { return { value, ok: true } }
export function checksum(data) { return data.reduce((sum, byte) => (sum + byte) >>> 0, 0) }
export function repeat(text, times) { return text.repeat(times) }
export function refuse(why) { throw new Error(why) }
export function spin() { for (;;); }

let calls = 0;
export function count_up() { return ++calls }

export function variable(name) { return env.get(name) }
export function note(text) { log.info(text) }

const key = (name) => ["conformance", name];
export async function store(name, value) { await kv.set(key(name), value) }
export async function load(name) { return (await kv.get(key(name))).value }
export async function forget(name) { await kv.delete(key(name)) }

export async function tally(name, n) {
  const counter = ["conformance", "tally", name];
  await kv.atomic().sum(counter, BigInt(n)).commit();
  return (await kv.get(counter)).value;
}

export async function claim(name, value) {
  return (await kv.atomic().check(key(name), null).set(key(name), value).commit()).ok;
}

export async function names(limit, cursor) {
  const page = await kv.list(key("page"), { limit, cursor });
  return [...page.entries.map((entry) => entry.key[2]), page.cursor];
}

export async function parts(name) {
  await kv.set([...key(name), -7, 0.5, true, new Uint8Array([0, 255])], "found");
  const { key: found, value } = (await kv.list(key(name))).entries[0];
  return `${found[2]} ${found[3]} ${found[4]} ${found[5].length} ${value}`;
}

export async function ask(url) {
  const answer = await fetch(url);
  return `${answer.status} ${await answer.text()}`;
}

export async function handle(request) {
  const [path, query = ""] = request.url.split("?");
  const text = `${request.method} ${path} ${query} ${await request.text()}`;
  return new Response(text, { status: 201, headers: { "x-heard": request.headers.get("x-say") ?? "nothing" } });
}
