// URL and URLSearchParams of the WHATWG URL Standard, with its names of states. Hosts with other letters than ASCII are
// normalised, put into lower case and written in Punycode (RFC 3492); the tables of UTS #46 are not here.
(() => {
  "use strict";
  const SPECIAL = { __proto__: null, "http:": "80", "https:": "443", "ws:": "80", "wss:": "443", "ftp:": "21", "file:": "" };
  const encoder = new TextEncoder(), decoder = new TextDecoder();
  const hex = (byte) => (byte < 16 ? "%0" : "%") + byte.toString(16).toUpperCase();
  const set = (characters, base = "") => new Set([...base, ...characters]);
  const CONTROL = set(""), FRAGMENT = set(' "<>`'), QUERY = set(' "#<>'), SPECIAL_QUERY = set("'", QUERY);
  const PATH = set("?^`{}", QUERY), USERINFO = set("/:;=@[\\]|", PATH);
  const FORM = /[^*\-.0-9A-Z_a-z]/;
  const FORBIDDEN_HOST = /[\0\t\n\r #/:<>?@[\\\]^|]/, FORBIDDEN_DOMAIN = /[\0-\x20#%/:<>?@[\\\]^|\x7f]/;
  const isDigits = (text) => /^[0-9]+$/.test(text);

  const encodeWith = (text, characters) => {
    let out = "";
    for (const letter of text.toWellFormed()) {
      if (letter >= "!" && letter <= "~" ? !characters.has(letter) : letter === " " && !characters.has(letter)) { out += letter; continue; }
      for (const byte of encoder.encode(letter)) out += hex(byte);
    }
    return out;
  };
  const decodeBytes = (text) => {
    const bytes = encoder.encode(text), out = new Uint8Array(bytes.length);
    const digit = (b) => b >= 48 && b <= 57 ? b - 48 : b >= 65 && b <= 70 ? b - 55 : b >= 97 && b <= 102 ? b - 87 : -1;
    let size = 0;
    for (let i = 0; i < bytes.length; i++) {
      const high = bytes[i] === 37 ? digit(bytes[i + 1] ?? 0) : -1, low = high < 0 ? -1 : digit(bytes[i + 2] ?? 0);
      if (low >= 0) { out[size++] = high * 16 + low; i += 2; } else out[size++] = bytes[i];
    }
    return out.subarray(0, size);
  };
  const decode = (text) => decoder.decode(decodeBytes(text));

  // --- hosts ---
  const punycode = (label) => {
    const points = Array.from(label, (letter) => letter.codePointAt(0));
    let out = points.filter((point) => point < 128).map((point) => String.fromCharCode(point)).join("");
    let n = 128, delta = 0, bias = 72, handled = out.length;
    const basic = handled;
    if (basic) out += "-";
    const digit = (d) => String.fromCharCode(d < 26 ? d + 97 : d + 22);
    while (handled < points.length) {
      let next = Infinity;
      for (const point of points) if (point >= n && point < next) next = point;
      delta += (next - n) * (handled + 1);
      n = next;
      for (const point of points) {
        if (point < n) delta++;
        if (point !== n) continue;
        let q = delta;
        for (let k = 36; ; k += 36) {
          const t = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
          if (q < t) { out += digit(q); break; }
          out += digit(t + ((q - t) % (36 - t)));
          q = Math.floor((q - t) / (36 - t));
        }
        delta = handled === basic ? Math.floor(delta / 700) : delta >> 1;
        delta += Math.floor(delta / (handled + 1));
        let k = 0;
        for (; delta > 455; k += 36) delta = Math.floor(delta / 35);
        bias = k + Math.floor((36 * delta) / (delta + 38));
        delta = 0;
        handled++;
      }
      delta++;
      n++;
    }
    return `xn--${out}`;
  };
  const toASCII = (domain) => {
    const labels = domain.normalize("NFKC").toLowerCase().normalize("NFC").replace(/[\u3002\uff0e\uff61]/g, ".")
      .replace(/[\u00ad\u200b\u2060\ufeff]/g, "").split(".");
    for (let i = 0; i < labels.length; i++) {
      if (!/^[\0-\x7f]*$/.test(labels[i])) {
        if (labels[i].length > 256) return null;
        labels[i] = punycode(labels[i]);
      }
    }
    return labels.join(".");
  };
  const ipv4Number = (text) => {
    if (text === "") return NaN;
    if (/^0[xX]/.test(text)) return text.length === 2 ? 0 : /^0[xX][0-9a-fA-F]+$/.test(text) ? parseInt(text, 16) : NaN;
    if (text.length > 1 && text[0] === "0") return /^[0-7]+$/.test(text) ? parseInt(text, 8) : NaN;
    return isDigits(text) ? parseInt(text, 10) : NaN;
  };
  const endsInNumber = (host) => {
    const parts = host.split(".");
    if (parts[parts.length - 1] === "") {
      if (parts.length === 1) return false;
      parts.pop();
    }
    const last = parts[parts.length - 1];
    return isDigits(last) || /^0[xX][0-9a-fA-F]*$/.test(last);
  };
  const parseIPv4 = (host) => {
    const parts = host.split(".");
    if (parts[parts.length - 1] === "" && parts.length > 1) parts.pop();
    if (parts.length > 4) return null;
    const numbers = parts.map(ipv4Number), last = numbers.pop();
    if (numbers.some((n) => !(n <= 255)) || !(last < 256 ** (4 - numbers.length))) return null;
    let address = last;
    for (let i = 0; i < numbers.length; i++) address += numbers[i] * 256 ** (3 - i);
    return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
  };
  const parseIPv6 = (text) => {
    const pieces = [];
    let compress = null, at = 0;
    if (text[0] === ":") {
      if (text[1] !== ":") return null;
      at = 2;
      compress = 0;
    }
    while (at < text.length) {
      if (pieces.length === 8) return null;
      if (text[at] === ":") {
        if (compress !== null) return null;
        at++;
        compress = pieces.length;
        continue;
      }
      const digits = /^[0-9a-fA-F]{0,4}/.exec(text.slice(at, at + 4))[0];
      if (text[at + digits.length] === ".") {
        const four = text.slice(at).split(".");
        if (!digits.length || pieces.length > 6 || four.length !== 4
          || four.some((n) => !/^(0|[1-9][0-9]{0,2})$/.test(n) || n > 255)) return null;
        pieces.push(four[0] * 256 + +four[1], four[2] * 256 + +four[3]);
        break;
      }
      at += digits.length;
      if (text[at] === ":") {
        at++;
        if (at === text.length) return null;
      } else if (at < text.length) return null;
      pieces.push(parseInt(digits, 16));
    }
    if (compress !== null) {
      if (pieces.length === 8) return null;
      pieces.splice(compress, 0, ...new Array(8 - pieces.length).fill(0));
    } else if (pieces.length !== 8) return null;
    return `[${showIPv6(pieces)}]`;
  };
  const showIPv6 = (pieces) => {
    let best = 8, most = 1;
    for (let i = 0; i < 8; i++) {
      let run = 0;
      while (i + run < 8 && pieces[i + run] === 0) run++;
      if (run > most) { best = i; most = run; }
      if (run) i += run - 1;
    }
    let out = "";
    for (let i = 0; i < 8; i++) {
      if (i === best) {
        out += i === 0 ? "::" : ":";
        i += most - 1;
        continue;
      }
      out += pieces[i].toString(16) + (i < 7 ? ":" : "");
    }
    return out;
  };
  const parseHost = (text, special) => {
    if (text[0] === "[") return text.endsWith("]") ? parseIPv6(text.slice(1, -1)) : null;
    if (!special) return FORBIDDEN_HOST.test(text) ? null : encodeWith(text, CONTROL);
    const domain = toASCII(decode(text));
    if (!domain || FORBIDDEN_DOMAIN.test(domain)) return null;
    return endsInNumber(domain) ? parseIPv4(domain) : domain;
  };

  // --- the parser; `over` is the state that a setter begins with ---
  const record = () => ({ scheme: "", username: "", password: "", host: null, port: "", path: [], opaque: null,
                          query: null, fragment: null });
  const isSpecial = (url) => url.scheme in SPECIAL;
  const isDrive = (text) => /^[A-Za-z][:|]$/.test(text), isNormalDrive = (text) => /^[A-Za-z]:$/.test(text);
  const startsWithDrive = (text) => /^[A-Za-z][:|]([/\\?#]|$)/.test(text);
  const shorten = (url) => {
    if (!(url.scheme === "file:" && url.path.length === 1 && isNormalDrive(url.path[0]))) url.path.pop();
  };
  const isDot = (part) => /^(\.|%2e)$/i.test(part), isDots = (part) => /^(\.|%2e){2}$/i.test(part);
  const take = (url, base) => {
    Object.assign(url, { username: base.username, password: base.password, host: base.host, port: base.port, path: [...base.path], opaque: base.opaque });
  };

  const setPort = (url, text) => {
    const port = parseInt(text, 10);
    if (port > 65535) return false;
    url.port = SPECIAL[url.scheme] === `${port}` ? "" : `${port}`;
    return true;
  };
  const setAuthority = (url, text) => {
    const at = text.lastIndexOf("@");
    if (at >= 0) {
      const colon = text.indexOf(":"), end = colon >= 0 && colon < at ? colon : at;
      url.username = encodeWith(text.slice(0, end), USERINFO);
      url.password = end < at ? encodeWith(text.slice(end + 1, at), USERINFO) : "";
    }
    const rest = text.slice(at + 1);
    if (at >= 0 && rest === "") return false;
    return setHost(url, rest, true);
  };
  const setHost = (url, text, withPort) => {
    const found = /^(\[[^\]]*\]?[^:]*|[^:[]*(?:\[[^\]]*\])?[^:]*)(?::(.*))?$/s.exec(text);
    if (!found || (found[1] === "" && (isSpecial(url) || found[2] !== undefined))) return false;
    const host = found[1] === "" ? "" : parseHost(found[1], isSpecial(url));
    if (host === null) return false;
    if (withPort && found[2] !== undefined && found[2] !== "") {
      if (!isDigits(found[2]) || !setPort(url, found[2])) return false;
    }
    url.host = host;
    return true;
  };
  const setPath = (url, text) => {
    const special = isSpecial(url), parts = text.split(special ? /[/\\]/ : "/");
    for (let i = 0; i < parts.length; i++) {
      const last = i === parts.length - 1;
      let part = encodeWith(parts[i], PATH);
      if (isDots(part)) {
        shorten(url);
        if (last) url.path.push("");
      } else if (isDot(part)) {
        if (last) url.path.push("");
      } else {
        if (url.scheme === "file:" && url.path.length === 0 && isDrive(part)) part = `${part[0]}:`;
        url.path.push(part);
      }
    }
  };
  const setQuery = (url, text) => { url.query = encodeWith(text, isSpecial(url) ? SPECIAL_QUERY : QUERY); };
  const setFragment = (url, text) => { url.fragment = encodeWith(text, FRAGMENT); };
  const end = (text, characters) => {
    const found = text.search(characters);
    return found < 0 ? text.length : found;
  };

  const parse = (input, base) => {
    let text = input.toWellFormed().replace(/^[\0-\x20]+|[\0-\x20]+$/g, "").replace(/[\t\n\r]/g, "");
    const url = record();
    const mark = text.indexOf("#");
    if (mark >= 0) {
      setLater(url, "fragment", text.slice(mark + 1));
      text = text.slice(0, mark);
    }
    const scheme = /^[A-Za-z][A-Za-z0-9+.-]*:/.exec(text);
    if (scheme) {
      url.scheme = scheme[0].toLowerCase();
      text = text.slice(scheme[0].length);
      if (url.scheme === "file:") return file(url, text, base?.scheme === "file:" ? base : null);
      if (!isSpecial(url)) return text[0] === "/" ? rooted(url, text) : opaque(url, text);
      if (base && base.scheme === url.scheme && !/^[/\\]{2}/.test(text)) return relative(url, text, base);
      return authority(url, text.replace(/^[/\\]+/, ""));
    }
    if (!base) return null;
    if (base.opaque !== null) {
      if (text !== "" || mark < 0) return null;
      url.scheme = base.scheme;
      take(url, base);
      url.query = base.query;
      return finish(url);
    }
    url.scheme = base.scheme;
    return base.scheme === "file:" ? file(url, text, base) : relative(url, text, base);
  };
  const setLater = (url, name, text) => { url[name] = { text }; };
  const finish = (url) => {
    if (url.fragment !== null && typeof url.fragment === "object") setFragment(url, url.fragment.text);
    return url;
  };
  const withQuery = (url, text) => { // returns what comes before the "?"
    const mark = text.indexOf("?");
    if (mark < 0) return text;
    setQuery(url, text.slice(mark + 1));
    return text.slice(0, mark);
  };
  const rooted = (url, text) => {
    if (text.startsWith("//")) return authority(url, text.slice(2));
    setPath(url, withQuery(url, text).slice(1));
    return finish(url);
  };
  const opaque = (url, text) => {
    const path = withQuery(url, text), trailing = / +$/.exec(path);
    const kept = trailing && (url.query !== null || url.fragment !== null) ? `${path.slice(0, -1)}%20` : path;
    url.opaque = "";
    for (const letter of kept) url.opaque += letter > "~" || letter < " " ? encodeWith(letter, CONTROL) : letter;
    return finish(url);
  };
  const authority = (url, text) => {
    const special = isSpecial(url), stop = end(text, special ? /[/\\?]/ : /[/?]/);
    if (!setAuthority(url, text.slice(0, stop))) return null;
    const path = withQuery(url, text.slice(stop));
    if (path !== "" || special) setPath(url, path.slice(1));
    return finish(url);
  };
  const relative = (url, text, base) => {
    const special = isSpecial(url), slash = (letter) => letter === "/" || (special && letter === "\\");
    if (slash(text[0]) && slash(text[1])) {
      return authority(url, special ? text.replace(/^[/\\]+/, "") : text.slice(2));
    }
    take(url, base);
    if (slash(text[0])) {
      url.path = [];
      setPath(url, withQuery(url, text).slice(1));
      return finish(url);
    }
    const mark = text.indexOf("?");
    if (text === "") url.query = base.query;
    else if (mark === 0) setQuery(url, text.slice(1));
    else {
      shorten(url);
      setPath(url, withQuery(url, text));
    }
    return finish(url);
  };
  const file = (url, text, base) => {
    const slash = (letter) => letter === "/" || letter === "\\";
    url.host = "";
    if (slash(text[0]) && slash(text[1])) {
      const rest = text.slice(2), stop = end(rest, /[/\\?]/), host = rest.slice(0, stop);
      if (isDrive(host)) {
        setPath(url, withQuery(url, rest));
        return finish(url);
      }
      if (host !== "") {
        const found = parseHost(host, true);
        if (found === null) return null;
        url.host = found === "localhost" ? "" : found;
      }
      setPath(url, withQuery(url, rest.slice(stop)).slice(1));
      return finish(url);
    }
    if (slash(text[0])) {
      if (base) {
        url.host = base.host;
        if (!startsWithDrive(text.slice(1)) && isNormalDrive(base.path[0] ?? "")) url.path.push(base.path[0]);
      }
      setPath(url, withQuery(url, text).slice(1));
      return finish(url);
    }
    if (!base) {
      setPath(url, withQuery(url, text));
      return finish(url);
    }
    url.host = base.host;
    url.path = [...base.path];
    if (text === "") url.query = base.query;
    else if (text[0] === "?") setQuery(url, text.slice(1));
    else {
      if (startsWithDrive(text)) url.path = [];
      else shorten(url);
      setPath(url, withQuery(url, text));
    }
    return finish(url);
  };

  const showPath = (url) => url.opaque ?? url.path.map((part) => `/${part}`).join("");
  const show = (url, withFragment = true) => {
    let out = url.scheme;
    if (url.host !== null) {
      out += "//";
      if (url.username || url.password) out += url.username + (url.password ? `:${url.password}` : "") + "@";
      out += url.host + (url.port ? `:${url.port}` : "");
    } else if (url.opaque === null && url.path.length > 1 && url.path[0] === "") out += "/.";
    out += showPath(url) + (url.query !== null ? `?${url.query}` : "");
    return withFragment && url.fragment !== null ? `${out}#${url.fragment}` : out;
  };

  // --- URLSearchParams ---
  const readForm = (text) => text.split("&").filter((part) => part !== "").map((part) => {
    const spaced = part.replaceAll("+", " "), at = spaced.indexOf("=");
    return at < 0 ? [decode(spaced), ""] : [decode(spaced.slice(0, at)), decode(spaced.slice(at + 1))];
  });
  const formPart = (text) => {
    let out = "";
    for (const letter of text.toWellFormed()) {
      if (letter === " ") out += "+";
      else if (!FORM.test(letter)) out += letter;
      else for (const byte of encoder.encode(letter)) out += hex(byte);
    }
    return out;
  };
  const scalar = (value) => `${value}`.toWellFormed();
  class URLSearchParams {
    #pairs = [];
    #changed = () => {};
    static bound(text, changed) {
      const made = new URLSearchParams(text);
      made.#changed = changed;
      return made;
    }
    static reset(params, text) { params.#pairs = readForm(text); }
    constructor(init = "") {
      if (typeof init === "object" && init !== null || typeof init === "function") {
        if (typeof init[Symbol.iterator] === "function") {
          for (const pair of init) {
            const found = [...pair];
            if (found.length !== 2) throw new TypeError("each pair has a name and a value");
            this.#pairs.push([scalar(found[0]), scalar(found[1])]);
          }
        } else for (const name of Reflect.ownKeys(init)) {
          if (Object.getOwnPropertyDescriptor(init, name)?.enumerable) this.#pairs.push([scalar(name), scalar(init[name])]);
        }
      } else this.#pairs = readForm(scalar(init).replace(/^\?/, ""));
    }
    get size() { return this.#pairs.length; }
    append(name, value) { this.#pairs.push([scalar(name), scalar(value)]); this.#changed(); }
    delete(name, value) {
      this.#pairs = this.#pairs.filter(([n, v]) => n !== scalar(name) || (value !== undefined && v !== scalar(value)));
      this.#changed();
    }
    get(name) { return this.#pairs.find(([n]) => n === scalar(name))?.[1] ?? null; }
    getAll(name) { return this.#pairs.filter(([n]) => n === scalar(name)).map(([, v]) => v); }
    has(name, value) { return this.#pairs.some(([n, v]) => n === scalar(name) && (value === undefined || v === scalar(value))); }
    set(name, value) {
      const at = this.#pairs.findIndex(([n]) => n === scalar(name));
      if (at < 0) this.#pairs.push([scalar(name), scalar(value)]);
      else {
        this.#pairs[at][1] = scalar(value);
        this.#pairs = this.#pairs.filter(([n], i) => i <= at || n !== scalar(name));
      }
      this.#changed();
    }
    sort() { this.#pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)); this.#changed(); }
    forEach(action, self) { for (const [name, value] of this) action.call(self, value, name, this); }
    *entries() { for (let i = 0; i < this.#pairs.length; i++) yield [...this.#pairs[i]]; }
    *keys() { for (const [name] of this.entries()) yield name; }
    *values() { for (const [, value] of this.entries()) yield value; }
    [Symbol.iterator]() { return this.entries(); }
    toString() { return this.#pairs.map(([name, value]) => `${formPart(name)}=${formPart(value)}`).join("&"); }
    get [Symbol.toStringTag]() { return "URLSearchParams"; }
  }
  const { bound, reset } = URLSearchParams;
  delete URLSearchParams.bound;
  delete URLSearchParams.reset;

  // --- URL ---
  const read = (url, base) => {
    const under = base === undefined ? null : parse(`${base}`, null);
    return base !== undefined && under === null ? null : parse(`${url}`, under);
  };
  const clean = (value) => `${value}`.toWellFormed().replace(/[\t\n\r]/g, "");
  class URL {
    #url;
    #params = null;
    constructor(url, base) {
      const found = read(url, base);
      if (found === null) {
        const error = new TypeError(`Invalid URL: '${url}'` + (base === undefined ? "" : ` with base '${base}'`));
        error.code = "ERR_INVALID_URL";
        throw error;
      }
      this.#url = found;
    }
    static parse(url, base) {
      try { return new URL(url, base); } catch { return null; }
    }
    static canParse(url, base) { return read(url, base) !== null; }
    #requery() { if (this.#params) reset(this.#params, this.#url.query ?? ""); }
    #locked() { return this.#url.host === null || this.#url.host === "" || this.#url.scheme === "file:"; }
    get href() { return show(this.#url); }
    set href(value) {
      const found = parse(`${value}`, null);
      if (found === null) throw new TypeError(`Invalid URL: '${value}'`);
      this.#url = found;
      this.#requery();
    }
    get origin() {
      const url = this.#url;
      if (url.scheme === "blob:") {
        const inner = parse(showPath(url), null);
        return inner && /^https?:$/.test(inner.scheme) ? new URL(show(inner)).origin : "null";
      }
      return isSpecial(url) && url.scheme !== "file:" ? `${url.scheme}//${this.host}` : "null";
    }
    get protocol() { return this.#url.scheme; }
    set protocol(value) {
      const found = /^([A-Za-z][A-Za-z0-9+.-]*)(:|$)/.exec(clean(value)), url = this.#url;
      if (!found) return;
      const scheme = `${found[1].toLowerCase()}:`;
      if ((scheme in SPECIAL) !== isSpecial(url)) return;
      if (scheme === "file:" && (url.username || url.password || url.port)) return;
      if (url.scheme === "file:" && url.host === "") return;
      url.scheme = scheme;
      if (url.port === SPECIAL[scheme]) url.port = "";
    }
    get username() { return this.#url.username; }
    set username(value) { if (!this.#locked()) this.#url.username = encodeWith(`${value}`, USERINFO); }
    get password() { return this.#url.password; }
    set password(value) { if (!this.#locked()) this.#url.password = encodeWith(`${value}`, USERINFO); }
    get host() { return (this.#url.host ?? "") + (this.#url.port ? `:${this.#url.port}` : ""); }
    set host(value) { this.#setHost(value, true); }
    get hostname() { return this.#url.host ?? ""; }
    set hostname(value) { this.#setHost(value, false); }
    #setHost(value, withPort) {
      const url = this.#url;
      if (url.opaque !== null) return;
      let text = clean(value);
      text = text.slice(0, end(text, isSpecial(url) ? /[/\\?#]/ : /[/?#]/));
      if (!withPort && /^[^[]*:/.test(text)) return;
      if (text === "" && (isSpecial(url) ? url.scheme !== "file:" : url.username || url.password || url.port)) return;
      const port = withPort ? /:([0-9]*)[^:\]]*$/.exec(text) : null;
      const name = port ? text.slice(0, port.index) : text;
      if (url.scheme === "file:" && port) return;
      if (name === "" && (port || (isSpecial(url) && url.scheme !== "file:"))) return;
      const host = name === "" ? "" : parseHost(name, isSpecial(url));
      if (host === null) return;
      url.host = url.scheme === "file:" && host === "localhost" ? "" : host;
      if (port && port[1] !== "") setPort(url, port[1]);
    }
    get port() { return this.#url.port; }
    set port(value) {
      if (this.#locked()) return;
      const text = clean(value);
      if (text === "") this.#url.port = "";
      else if (/^[0-9]/.test(text)) setPort(this.#url, /^[0-9]+/.exec(text)[0]);
    }
    get pathname() { return showPath(this.#url); }
    set pathname(value) {
      const url = this.#url;
      if (url.opaque !== null) return;
      const text = clean(value);
      url.path = [];
      const slash = text[0] === "/" || (isSpecial(url) && text[0] === "\\");
      if (text !== "" || isSpecial(url) || url.host === null) setPath(url, (slash ? text.slice(1) : text).replace(/[?#]/g, (letter) => hex(letter.charCodeAt(0))));
    }
    get search() { return this.#url.query ? `?${this.#url.query}` : ""; }
    set search(value) {
      const text = clean(value);
      if (text === "") this.#url.query = null;
      else setQuery(this.#url, text.replace(/^\?/, ""));
      this.#requery();
    }
    get searchParams() {
      this.#params ??= bound(this.#url.query ?? "", () => {
        const text = this.#params.toString();
        this.#url.query = text === "" ? null : text;
      });
      return this.#params;
    }
    get hash() { return this.#url.fragment ? `#${this.#url.fragment}` : ""; }
    set hash(value) {
      const text = clean(value);
      if (text === "") this.#url.fragment = null;
      else setFragment(this.#url, text.replace(/^#/, ""));
    }
    toString() { return this.href; }
    toJSON() { return this.href; }
    get [Symbol.toStringTag]() { return "URL"; }
  }

  for (const [name, value] of Object.entries({ URL, URLSearchParams })) {
    Object.defineProperty(globalThis, name, { value, writable: true, enumerable: false, configurable: true });
  }
})();
