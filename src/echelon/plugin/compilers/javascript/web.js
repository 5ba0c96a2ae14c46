// Events, abort signals and structured clones, as the DOM and HTML standards have them.
(() => {
  "use strict";
  class Event {
    #type; #cancelable; #prevented = false; #stopped = false; #target = null;
    static dispatching(event, target) { event.#target = target; event.#stopped = false; }
    static stopped(event) { return event.#stopped; }
    constructor(type, init = {}) { this.#type = `${type}`; this.#cancelable = Boolean(init?.cancelable); }
    get type() { return this.#type; }
    get target() { return this.#target; }
    get currentTarget() { return this.#target; }
    get cancelable() { return this.#cancelable; }
    get defaultPrevented() { return this.#prevented; }
    preventDefault() { if (this.#cancelable) this.#prevented = true; }
    stopPropagation() {}
    stopImmediatePropagation() { this.#stopped = true; }
  }
  const { dispatching, stopped } = Event;
  delete Event.dispatching;
  delete Event.stopped;
  class CustomEvent extends Event {
    #detail;
    constructor(type, init = {}) { super(type, init); this.#detail = init?.detail ?? null; }
    get detail() { return this.#detail; }
  }
  class EventTarget {
    #listeners = [];
    addEventListener(type, listener, options) {
      if (listener === null || listener === undefined) return;
      const { once = false, signal } = typeof options === "object" && options !== null ? options : {};
      const name = `${type}`;
      if (signal?.aborted || this.#listeners.some((found) => found.name === name && found.listener === listener)) return;
      this.#listeners.push({ name, listener, once });
      signal?.addEventListener("abort", () => this.removeEventListener(name, listener), { once: true });
    }
    removeEventListener(type, listener) {
      this.#listeners = this.#listeners.filter((found) => found.name !== `${type}` || found.listener !== listener);
    }
    dispatchEvent(event) {
      dispatching(event, this);
      for (const found of this.#listeners.filter(({ name }) => name === event.type)) {
        if (!this.#listeners.includes(found)) continue;
        if (found.once) this.removeEventListener(found.name, found.listener);
        try {
          if (typeof found.listener === "function") found.listener.call(this, event);
          else found.listener.handleEvent(event);
        } catch (error) { console.error(`a listener of "${event.type}" failed:`, error); }
        if (stopped(event)) break;
      }
      return !event.defaultPrevented;
    }
  }

  const key = {};
  class AbortSignal extends EventTarget {
    #aborted = false; #reason; #handler = null; #dependents = [];
    constructor(given) {
      if (given !== key) throw new TypeError("Illegal constructor");
      super();
    }
    static end(signal, reason) {
      if (signal.#aborted) return;
      const ended = [signal];
      for (let i = 0; i < ended.length; i++) for (const next of ended[i].#dependents) if (!next.#aborted && !ended.includes(next)) ended.push(next);
      const why = reason === undefined ? new DOMException("This operation was aborted", "AbortError") : reason;
      for (const each of ended) { each.#aborted = true; each.#reason = why; }
      for (const each of ended) {
        const event = new Event("abort");
        if (each.#handler) each.addEventListener("abort", each.#handler, { once: true });
        each.dispatchEvent(event);
      }
    }
    static abort(reason) {
      const signal = new AbortSignal(key);
      end(signal, reason);
      return signal;
    }
    static timeout(milliseconds) {
      if (!(milliseconds >= 0) || milliseconds === Infinity) throw new TypeError("a timeout is a number of milliseconds");
      const signal = new AbortSignal(key);
      setTimeout(() => end(signal, new DOMException("The operation was aborted due to timeout", "TimeoutError")), milliseconds);
      return signal;
    }
    static any(signals) {
      const made = new AbortSignal(key), found = [...signals];
      for (const signal of found) if (!(#aborted in signal)) throw new TypeError("any() takes signals");
      const ended = found.find((signal) => signal.#aborted);
      if (ended) end(made, ended.#reason);
      else for (const signal of found) signal.#dependents.push(made);
      return made;
    }
    get aborted() { return this.#aborted; }
    get reason() { return this.#reason; }
    get onabort() { return this.#handler; }
    set onabort(value) { this.#handler = typeof value === "function" ? value : null; }
    throwIfAborted() { if (this.#aborted) throw this.#reason; }
  }
  const { end } = AbortSignal;
  delete AbortSignal.end;
  class AbortController {
    #signal = new AbortSignal(key);
    get signal() { return this.#signal; }
    abort(reason) { end(this.#signal, reason); }
  }

  const ERRORS = { EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };
  const refuse = (value) => {
    const what = typeof value === "function" ? `${value.name || "a function"}` : typeof value === "symbol" ? "a symbol" : "this object";
    throw new DOMException(`${what} could not be cloned`, "DataCloneError");
  };
  const views = [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array,
                 Float32Array, Float64Array, BigInt64Array, BigUint64Array, DataView];
  const tagOf = (value) => Object.prototype.toString.call(value).slice(8, -1);
  const structuredClone = (value, options) => {
    const moved = [...(options?.transfer ?? [])];
    for (const each of moved) if (!(each instanceof ArrayBuffer) || each.detached) refuse(each);
    const made = new Map();
    const result = clone(value, made);
    for (const each of moved) each.transfer();
    return result;
  };
  const clone = (value, made) => {
    if (typeof value === "symbol" || typeof value === "function") refuse(value);
    if (typeof value !== "object" || value === null) return value;
    if (made.has(value)) return made.get(value);
    const keep = (copy) => { made.set(value, copy); return copy; };
    const fields = (copy) => {
      for (const name of Object.keys(value)) {
        Object.defineProperty(copy, name, { value: clone(value[name], made), writable: true, enumerable: true, configurable: true });
      }
      return copy;
    };
    if (Array.isArray(value)) {
      const copy = keep([]);
      copy.length = value.length;
      return fields(copy);
    }
    if (value instanceof Date) return keep(new Date(value.getTime()));
    if (value instanceof RegExp) return keep(new RegExp(value.source, value.flags));
    if (value instanceof ArrayBuffer) return keep(value.slice(0));
    for (const View of views) {
      if (!(value instanceof View)) continue;
      const buffer = clone(value.buffer, made);
      return keep(new View(buffer, value.byteOffset, View === DataView ? value.byteLength : value.length));
    }
    if (value instanceof Map) {
      const copy = keep(new Map()), pairs = [...value];
      for (const [name, each] of pairs) copy.set(clone(name, made), clone(each, made));
      return copy;
    }
    if (value instanceof Set) {
      const copy = keep(new Set()), items = [...value];
      for (const each of items) copy.add(clone(each, made));
      return copy;
    }
    if (value instanceof DOMException) return keep(new DOMException(value.message, value.name));
    if (value instanceof Error) {
      const copy = keep(new (ERRORS[value.name] ?? Error)(`${value.message}`));
      if (Object.hasOwn(value, "cause")) Object.defineProperty(copy, "cause", { value: clone(value.cause, made), writable: true, configurable: true });
      Object.defineProperty(copy, "stack", { value: `${value.stack}`, writable: true, configurable: true });
      return copy;
    }
    const tag = tagOf(value);
    if (tag === "Boolean" || tag === "Number" || tag === "String" || tag === "BigInt") return keep(Object(value.valueOf()));
    if (tag !== "Object" || value instanceof Promise || value instanceof WeakMap || value instanceof WeakSet || value instanceof WeakRef) refuse(value);
    return fields(keep({}));
  };

  const found = { Event, CustomEvent, EventTarget, AbortSignal, AbortController, structuredClone };
  for (const [name, value] of Object.entries(found)) {
    Object.defineProperty(globalThis, name, { value, writable: true, enumerable: false, configurable: true });
  }
})();
