// Runs once, when the engine is built; what it leaves in memory is what every script begins with. Nothing a script does
// to the globals may change how this works, so all it uses later is kept here. Evaluates to the port that the host calls.
((host, mailbox, decodeText, encodeText) => {
  "use strict";
  const { parse, stringify } = JSON;
  const { apply, construct, defineProperty, deleteProperty, getPrototypeOf } = Reflect;
  const uncurry = (method) => (self, ...rest) => apply(method, self, rest);
  const { String, Number, Object, Map, Error, TypeError, Promise, Uint8Array, ArrayBuffer, Date } = globalThis;
  const toWellFormed = uncurry(String.prototype.toWellFormed), isWellFormed = uncurry(String.prototype.isWellFormed);
  const includes = uncurry(String.prototype.includes);
  const floor = Math.floor, isArray = Array.isArray, isView = ArrayBuffer.isView, keys = Object.keys;
  const codeAt = uncurry(String.prototype.charCodeAt), lower = uncurry(String.prototype.toLowerCase);
  const fromCode = String.fromCharCode, then = uncurry(Promise.prototype.then);
  const push = (list, item) => defineProperty(list, list.length,
    { value: item, writable: true, enumerable: true, configurable: true });
  const toBase64 = uncurry(Uint8Array.prototype.toBase64), fromBase64 = Uint8Array.fromBase64;
  const mapGet = uncurry(Map.prototype.get), mapSet = uncurry(Map.prototype.set);
  const mapDelete = uncurry(Map.prototype.delete), isPromise = Promise;
  const bytePrototype = Uint8Array.prototype, bigPrototype = BigInt.prototype, bigText = uncurry(BigInt.prototype.toString);
  const words = new Uint16Array(mailbox), box = new Uint8Array(mailbox), setBytes = uncurry(bytePrototype.set);
  const [LOG, ENV, RANDOM] = [0, 1, 2];
  const plainObject = () => ({ __proto__: null });

  // --- calls that answer at once: text goes through the mailbox ---
  const put = (text) => {
    const size = text.length < words.length ? text.length : words.length;
    for (let i = 0; i < size; i++) words[i] = codeAt(text, i);
    return size;
  };
  const show = (value, depth) => {
    if (typeof value === "string") return value;
    if (value === null || typeof value !== "object") return typeof value === "bigint" ? `${value}n` : String(value);
    try {
      if (value instanceof Error) return `${value.name}: ${value.message}`;
      return stringify(value) ?? String(value);
    } catch { return "[object]"; }
  };
  const logger = (level) => (...values) => {
    let text = "";
    for (let i = 0; i < values.length; i++) text += (i ? " " : "") + show(values[i]);
    host(LOG, put(text), level);
  };
  const read = (size) => {
    let text = "";
    for (let i = 0; i < size; i++) text += fromCode(words[i]);
    return text;
  };
  const env = (name) => {
    const size = host(ENV, put(`${name}`), 0);
    return size < 0 ? undefined : read(size);
  };
  const random = (target) => {
    const view = new Uint8Array(target.buffer, target.byteOffset, target.byteLength);
    if (view.length > 65536) throw new TypeError("at most 65536 random bytes can be asked for at once");
    for (let at = 0; at < view.length; at += 4096) {
      const size = view.length - at < 4096 ? view.length - at : 4096;
      host(RANDOM, size, 0);
      for (let i = 0; i < size; i++) view[at + i] = box[i];
    }
    return target;
  };
  const state = new Uint32Array(4);
  let seeded = false;
  const step = () => { // xoshiro128**
    const rotate = (x, k) => (x << k) | (x >>> (32 - k));
    const product = Math_imul(rotate(Math_imul(state[1], 5), 7), 9) >>> 0, t = state[1] << 9;
    state[2] ^= state[0]; state[3] ^= state[1]; state[1] ^= state[2]; state[0] ^= state[3];
    state[2] ^= t; state[3] = rotate(state[3], 11);
    return product;
  };
  const Math_imul = Math.imul;

  // --- values ---
  let special = false;
  const toJSON = {
    bytes() { special = true; return { "$bytes": toBase64(this) }; },
    big() { special = true; return { "$int": bigText(this) }; },
  };
  const encode = (value) => {
    if (typeof value === "string") return `4${toWellFormed(value)}`; // which puts a text in pieces together, too
    special = false;
    defineProperty(bytePrototype, "toJSON", { value: toJSON.bytes, configurable: true });
    defineProperty(bigPrototype, "toJSON", { value: toJSON.big, configurable: true });
    try {
      const text = stringify(value);
      return (special ? "1" : "0") + (text === undefined ? "null" : text);
    } finally {
      deleteProperty(bytePrototype, "toJSON");
      deleteProperty(bigPrototype, "toJSON");
    }
  };
  const revive = (value) => {
    if (value === null || typeof value !== "object") return value;
    if (!isArray(value)) {
      if (typeof value.$bytes === "string") return fromBase64(value.$bytes);
      if (typeof value.$int === "string") return BigInt_(value.$int);
    }
    const names = keys(value);
    for (let i = 0; i < names.length; i++) {
      defineProperty(value, names[i],
        { value: revive(value[names[i]]), writable: true, enumerable: true, configurable: true });
    }
    return value;
  };
  const BigInt_ = BigInt, slice = uncurry(String.prototype.slice);
  const decode = (text) => (text[0] === "1" ? revive(parse(slice(text, 1))) : parse(slice(text, 1)));
  const failure = (error) => {
    const found = plainObject();
    found.name = ""; found.message = ""; found.stack = "";
    try {
      if (typeof error === "object" && error !== null) {
        found.name = `${error.name ?? "Error"}`; found.message = `${error.message ?? ""}`;
        found.stack = `${error.stack ?? ""}`;
        if (typeof error.code === "string") found.code = error.code;
      } else found.message = show(error);
    } catch { found.message = "an error that cannot be read"; }
    return `2${stringify(found)}`;
  };

  // --- questions to the host that take time, and timers ---
  let asked = "", number = 0;
  const waiting = new Map();
  const ask = (operation, values) => new Promise((resolve, reject) => {
    const text = encode(values), id = ++number;
    mapSet(waiting, id, { resolve, reject });
    asked += `${id} ${operation} ${text}\n`;
  });
  const timers = new Map();
  const startTimer = (action, delay, rest, again) => {
    if (typeof action !== "function") throw new TypeError("a timer takes a function");
    const wait = +delay > 0 ? floor(+delay) : 0, id = ++number;
    mapSet(timers, id, true);
    const run = () => then(ask("sleep", [wait]), () => {
      if (!mapGet(timers, id)) return;
      if (!again) mapDelete(timers, id);
      action(...rest);
      if (again) run();
    });
    run();
    return id;
  };
  const stopTimer = (id) => { mapDelete(timers, id); };

  // --- what scripts see ---
  const define = (name, value) =>
    defineProperty(globalThis, name, { value, writable: true, enumerable: false, configurable: true });
  const log = { debug: logger(0), info: logger(1), warning: logger(2), error: logger(3) };
  define("console", { debug: log.debug, log: log.info, info: log.info, warn: log.warning, error: log.error,
                      trace: log.debug, assert: (ok, ...rest) => { if (!ok) log.error("assertion failed:", ...rest); } });
  define("setTimeout", (action, delay, ...rest) => startTimer(action, delay, rest, false));
  define("setInterval", (action, delay, ...rest) => startTimer(action, delay, rest, true));
  define("clearTimeout", stopTimer);
  define("clearInterval", stopTimer);
  const resolved = Promise.resolve();
  define("queueMicrotask", (action) => { then(resolved, () => action()); });
  define("crypto", { getRandomValues: random, randomUUID: () => {
    const b = random(new Uint8Array(16));
    b[6] = (b[6] & 15) | 64; b[8] = (b[8] & 63) | 128;
    let text = "";
    for (let i = 0; i < 16; i++) text += (i === 4 || i === 6 || i === 8 || i === 10 ? "-" : "") + hex(b[i]);
    return text;
  } });
  const digits = "0123456789abcdef", hex = (byte) => digits[byte >> 4] + digits[byte & 15];
  Math.random = () => {
    if (!seeded) { random(state); seeded = true; }
    return ((step() >>> 5) * 67108864 + (step() >>> 6)) / 9007199254740992;
  };
  const utf8 = (text) => encodeText(toWellFormed(`${text}`));
  const sliceBytes = uncurry(bytePrototype.slice);
  const bytesOf = (value) => value instanceof ArrayBuffer ? new Uint8Array(value)
    : isView(value) ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : undefined;
  const text8 = (bytes) => {
    const text = decodeText(bytes);
    return isWellFormed(text) && !includes(text, "\ufffd") ? text : text8Exactly(bytes);
  };
  const text8Exactly = (bytes) => { // where bytes are no UTF-8: the decoder of the Encoding Standard
    let out = "", c = 0, needed = 0, low = 0x80, high = 0xbf;
    for (let i = 0; i < bytes.length; i++) {
      const b = bytes[i];
      if (!needed) {
        if (b < 0x80) out += fromCode(b);
        else if (b >= 0xc2 && b <= 0xdf) { needed = 1; c = b & 31; }
        else if (b >= 0xe0 && b <= 0xef) { needed = 2; c = b & 15; low = b === 0xe0 ? 0xa0 : 0x80; high = b === 0xed ? 0x9f : 0xbf; }
        else if (b >= 0xf0 && b <= 0xf4) { needed = 3; c = b & 7; low = b === 0xf0 ? 0x90 : 0x80; high = b === 0xf4 ? 0x8f : 0xbf; }
        else out += "\ufffd";
        continue;
      }
      const good = b >= low && b <= high;
      low = 0x80; high = 0xbf;
      if (!good) { needed = 0; out += "\ufffd"; i--; continue; }
      c = (c << 6) | (b & 63);
      if (--needed) continue;
      out += c < 0x10000 ? fromCode(c) : fromCode(0xd800 + ((c - 0x10000) >> 10), 0xdc00 + ((c - 0x10000) & 1023));
    }
    return needed ? `${out}\ufffd` : out;
  };
  define("TextEncoder", class TextEncoder { get encoding() { return "utf-8"; } encode(text = "") { return utf8(text); } });
  define("TextDecoder", class TextDecoder {
    get encoding() { return "utf-8"; }
    decode(bytes) { return bytes === undefined ? "" : text8(bytesOf(bytes)); }
  });
  class Headers {
    #pairs = [];
    constructor(init) {
      if (init instanceof Headers) for (let i = 0; i < init.#pairs.length; i++) this.append(init.#pairs[i][0], init.#pairs[i][1]);
      else if (isArray(init)) for (let i = 0; i < init.length; i++) this.append(init[i][0], init[i][1]);
      else if (init) for (const name of keys(init)) this.append(name, init[name]);
    }
    append(name, value) { push(this.#pairs, [lower(`${name}`), `${value}`]); }
    set(name, value) { this.delete(name); this.append(name, value); }
    delete(name) {
      const kept = [];
      for (let i = 0; i < this.#pairs.length; i++) if (this.#pairs[i][0] !== lower(`${name}`)) push(kept, this.#pairs[i]);
      this.#pairs = kept;
    }
    get(name) {
      let found = null;
      for (let i = 0; i < this.#pairs.length; i++) {
        const [n, v] = this.#pairs[i];
        if (n === lower(`${name}`)) found = found === null ? v : `${found}, ${v}`;
      }
      return found;
    }
    has(name) { return this.get(name) !== null; }
    forEach(action) { for (const [n, v] of this.#pairs) action(v, n, this); }
    *entries() { for (const pair of this.#pairs) yield [...pair]; }
    *keys() { for (const [n] of this.#pairs) yield n; }
    *values() { for (const [, v] of this.#pairs) yield v; }
    [Symbol.iterator]() { return this.entries(); }
    static pairs(headers) { return headers.#pairs; }
  }
  const pairsOf = Headers.pairs;
  delete Headers.pairs;
  class Body {
    #content;
    constructor(content) {
      this.#content = content === undefined || content === null ? new Uint8Array(0) : bytesOf(content) ?? `${content}`;
    }
    static content(body) { return body.#content; }
    async text() { return typeof this.#content === "string" ? this.#content : text8(this.#content); }
    async json() { return parse(await this.text()); }
    async bytes() { return typeof this.#content === "string" ? utf8(this.#content) : sliceBytes(this.#content, 0); }
    async arrayBuffer() { return (await this.bytes()).buffer; }
  }
  const contentOf = Body.content;
  delete Body.content;
  class Request extends Body {
    constructor(url, init = {}) {
      super(init.body);
      this.url = `${url}`; this.method = init.method ?? "GET"; this.headers = new Headers(init.headers);
      this.redirect = init.redirect ?? "follow"; this.signal = init.signal ?? undefined;
    }
  }
  class Response extends Body {
    constructor(body, init = {}) {
      super(body);
      this.status = init.status ?? 200; this.statusText = init.statusText ?? "";
      this.headers = new Headers(init.headers); this.url = "";
      if (typeof body === "string" && !this.headers.has("content-type"))
        this.headers.set("content-type", "text/plain; charset=utf-8");
    }
    get ok() { return this.status >= 200 && this.status < 300; }
    static json(value, init = {}) {
      const response = new Response(stringify(value), init);
      response.headers.set("content-type", "application/json");
      return response;
    }
    static redirect(url, status = 302) { return new Response(null, { status, headers: { location: url } }); }
  }
  define("Headers", Headers);
  define("Request", Request);
  define("Response", Response);
  const unlessAborted = (signal, answer) => new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    then(answer, resolve, reject);
  });
  const fetch = async (target, init = {}) => {
    const request = target instanceof Request ? target : new Request(target, init), signal = init.signal ?? request.signal;
    signal?.throwIfAborted();
    const answer = ask("fetch",
      [request.method, request.url, pairsOf(request.headers), contentOf(request), request.redirect === "follow"]);
    const [status, url, headers, body, problem] = await (signal ? unlessAborted(signal, answer) : answer);
    if (!status) throw new TypeError(problem);
    const response = new Response(body, { status, headers });
    response.url = url;
    return response;
  };
  define("fetch", fetch);

  class Atomic {
    #checks = []; #changes = [];
    check(key, versionstamp) { push(this.#checks, [key, versionstamp ?? null]); return this; }
    set(key, value, options) { push(this.#changes, ["set", key, value ?? null, options?.expireIn ?? 0]); return this; }
    delete(key) { push(this.#changes, ["delete", key]); return this; }
    sum(key, value) { push(this.#changes, ["sum", key, value]); return this; }
    min(key, value) { push(this.#changes, ["min", key, value]); return this; }
    max(key, value) { push(this.#changes, ["max", key, value]); return this; }
    commit() { return ask("kv_atomic", [this.#checks, this.#changes]); }
  }
  const kv = {
    get: (key) => ask("kv_get", [key]),
    set: (key, value, options) => ask("kv_set", [key, value ?? null, options?.expireIn ?? 0]),
    delete: (key) => ask("kv_delete", [key]),
    list: (prefix, options = {}) => ask("kv_list",
      [prefix, options.start ?? null, options.end ?? null, options.limit ?? 100, options.reverse ?? false,
       options.cursor ?? ""]),
    atomic: () => new Atomic(),
  };
  const kit = () => ({ kv, log, env: { get: env }, fetch, Headers, Request, Response });

  // --- the port: every function takes and returns text ---
  let exports, settled = null;
  const fail = (error) => { settled = failure(error); };
  const isThenable = (value) => value !== null && (typeof value === "object" || typeof value === "function")
    && typeof value.then === "function";
  const finish = async (value) => value;
  const begin = (action, write = encode) => {
    settled = null;
    const settle = (value) => {
      try { settled = write(value); } catch (error) { fail(error); }
    };
    try {
      const value = action();
      if (isThenable(value)) then(finish(value), settle, fail);
      else settle(value);
    } catch (error) { fail(error); }
  };
  const poll = () => {
    if (settled !== null) return settled;
    const found = asked;
    asked = "";
    return `3${found}`;
  };
  const own = uncurry(Object.prototype.hasOwnProperty);
  const exported = (name) => {
    const found = own(exports, name) ? exports[name] : undefined;
    if (typeof found !== "function") throw new TypeError(`${name} is not a function`);
    return found;
  };
  const answer = async (request) => {
    const main = own(exports, "default") ? exports.default : undefined;
    const response = own(exports, "handle") ? await exported("handle")(request)
      : typeof main === "function" ? await main(request) : await main.fetch(request);
    if (!(response instanceof Response)) throw new TypeError("the handler must return a Response");
    const content = contentOf(response), head = stringify([response.status, pairsOf(response.headers)]);
    return typeof content === "string" ? `6${head}\n${toWellFormed(content)}` : `7${head}\n${toBase64(content)}`;
  };
  let held = []; // texts that a call brings beside its arguments
  const take = () => { const found = held; held = []; return found; };
  return {
    load: (script) => begin(() => {
      const module = { exports: {} };
      script(module, module.exports, (name) => {
        if (name === "echelon") return kit();
        throw new Error(`there is no module "${name}"`);
      });
      exports = module.exports;
      return null;
    }),
    hold: (text) => { push(held, text); },
    call: (text) => begin(() => {
      const texts = take(), found = decode(text), values = found[1], places = found[2];
      for (let i = 0; i < texts.length; i++) values[places[i]] = texts[i];
      return apply(exported(found[0]), undefined, values);
    }),
    handle: (text) => begin(() => {
      const texts = take(), found = decode(text);
      return answer(new Request(found[1], { method: found[0], headers: found[2], body: texts.length ? texts[0] : found[3] }));
    }, (text) => text),
    deliver: (text) => {
      const answered = decode(text), found = mapGet(waiting, answered[0]);
      mapDelete(waiting, answered[0]);
      if (answered[1]) found.resolve(answered[2]);
      else found.reject(new Error(answered[2]));
    },
    resume: () => {},
    poll,
  };
})
