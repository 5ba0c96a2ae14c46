// Runs lines of JSON from standard input in Deno: each {code, argument} is a function body, each answer its result.
// Values travel as descriptions that keep their types; deno_peer.py has the other half.

import { isDeepStrictEqual } from "node:util";
import { createInterface } from "node:readline";

const { core } = Deno[Deno.internal];
const AsyncFunction = (async () => {}).constructor;
const state = {};

const toBase64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
const fromBase64 = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const serialize = (value) => toBase64(core.serialize(value, { forStorage: true }));
const deserialize = (text) => core.deserialize(fromBase64(text), { forStorage: true });

function describeNumber(value) {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return Array.from(new Uint8Array(view.buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function describe(value) {
  switch (typeof value) {
    case "undefined": return { type: "undefined" };
    case "bigint": return { type: "int", value: value.toString() };
    case "number": return { type: "float", value: describeNumber(value) };
    case "boolean": case "string": return value;
  }
  if (value === null) return null;
  if (value instanceof Deno.KvU64) return { type: "u64", value: value.value.toString() };
  if (value instanceof Uint8Array) return { type: "bytes", value: toBase64(value) };
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    return { type: value.constructor.name, value: Array.from(value, describe) };
  }
  if (Array.isArray(value)) return value.map(describe);
  if (value instanceof Date) return { type: "date", value: value.getTime() };
  if (value instanceof Map) return { type: "map", value: Array.from(value, ([k, v]) => [describe(k), describe(v)]) };
  if (value instanceof Set) return { type: "set", value: Array.from(value, describe) };
  if (value instanceof RegExp) return { type: "regexp", value: [value.source, value.flags] };
  if (value instanceof Error) return { type: "error", value: [value.name, value.message] };
  return { type: "dict", value: Object.entries(value).map(([k, v]) => [k, describe(v)]) };
}

function build(description) {
  if (description === null || typeof description !== "object") return description;
  if (Array.isArray(description)) return description.map(build);
  const { type, value } = description;
  switch (type) {
    case "undefined": return undefined;
    case "int": return BigInt(value);
    case "float": return new DataView(Uint8Array.from(value.match(/../g), (b) => parseInt(b, 16)).buffer).getFloat64(0);
    case "u64": return new Deno.KvU64(BigInt(value));
    case "bytes": return fromBase64(value);
    case "date": return new Date(value);
    case "map": return new Map(value.map(([k, v]) => [build(k), build(v)]));
    case "set": return new Set(value.map(build));
    case "regexp": return new RegExp(...value);
    case "error": return new globalThis[value[0]](value[1]);
    case "dict": return Object.fromEntries(value.map(([k, v]) => [k, build(v)]));
    default: return globalThis[type].from(value.map(build));
  }
}

const tools = { build, describe, serialize, deserialize, isDeepStrictEqual };
const encoder = new TextEncoder();

for await (const line of createInterface({ input: process.stdin })) {
  const { code, argument } = JSON.parse(line);
  let answer;
  try {
    const run = new AsyncFunction("state", "argument", "tools", code);
    answer = { result: describe(await run(state, build(argument), tools)) };
  } catch (error) {
    answer = { error: `${error.constructor.name}: ${error.message}` };
  }
  Deno.stdout.writeSync(encoder.encode(JSON.stringify(answer) + "\n"));
}
Deno.exit(0);
