// What stands in for Preact on the server: nodes, components, hooks, and the writer that turns them into HTML.
//
// Made for an interpreter, where every object and call counts. The build joins the static parts of JSX into templates;
// what is dynamic goes into one list of parts, and text in it is escaped in the end, all at once. The HTML is that of
// preact-render-to-string, byte for byte.

const { isArray } = Array, { keys, assign, is } = Object;
const none = [], nothing = {};

// --- nodes ---

export const options = {};

class Node {
  constructor(type, props, key, ref) {
    this.type = type; this.props = props; this.key = key; this.ref = ref;
  }
}

// A tree whose static parts were joined. Whoever looks inside finds the nodes that were written.
class Template {
  constructor(form, values) { this.form = form; this.values = values; }
  get node() { return this.made ??= this.form.make(this.values); }
  get type() { return this.node.type; }
  get props() { return this.node.props; }
  get key() { return this.node.key; }
  get ref() { return this.node.ref; }
}

export const isValidElement = (value) => value instanceof Node || value instanceof Template;

// The build looks for these names: $jsx$("div", {…}) with literal names becomes a template.
export function $jsx$(type, props, key) {
  if (!props) return new Node(type, {}, key);
  if (typeof type === "function" || !("ref" in props)) return new Node(type, props, key);
  const { ref, ...rest } = props;
  return new Node(type, rest, key, ref);
}
export function $jsxs$(type, props, key) { return $jsx$(type, props, key); }
export function $Fragment$(props) { return props.children; }
export const $tpl$ = Template; // the build writes `new $tpl$(…)`
export const $static$ = (form) => form.kept ??= new Template(form, none);

function split(type, given, count, children, base) {
  const props = assign({}, base);
  let key, ref;
  for (const name in given) {
    if (name === "key") key = given.key;
    else if (name === "ref" && typeof type !== "function") ref = given.ref;
    else props[name] = given[name];
  }
  if (count > 2) props.children = count > 3 ? children : children[0];
  return [props, key, ref];
}

export function createElement(type, given, ...children) {
  const [props, key, ref] = split(type, given, children.length + 2, children);
  return new Node(type, props, key, ref);
}

export function cloneElement(node, given, ...children) {
  const [props, key, ref] = split(node.type, given, children.length + 2, children, node.props);
  return new Node(node.type, props, key === undefined ? node.key : key, ref === undefined ? node.ref : ref);
}

export function toChildArray(children, into = []) {
  if (children == null || typeof children === "boolean") return into;
  if (isArray(children)) for (let i = 0; i < children.length; i++) toChildArray(children[i], into);
  else into.push(children);
  return into;
}

export const createRef = () => ({ current: null });

export class Component {
  constructor(props, context) { this.props = props; this.context = context; }
  setState(update) {
    const next = this.next && this.next !== this.state ? this.next : assign({}, this.state);
    assign(next, typeof update === "function" ? update(assign({}, next), this.props) : update);
    this.next = next;
    this.dirty = true;
  }
  forceUpdate() { this.dirty = true; }
  render(props) { return props.children; }
}

// --- contexts: `contexts` is what is provided here, by the number of the context ---

let contexts = nothing, legacy = nothing, contextNumber = 0;

export function createContext(initial) {
  const Context = (props) => props.children;
  Context.number = `c${contextNumber++}`;
  Context.initial = initial;
  Context.Consumer = (props) => props.children(valueOf(Context));
  Context.Provider = Context.Consumer.contextType = Context;
  return Context;
}

const valueOf = (Context) => Context.number in contexts ? contexts[Context.number] : Context.initial;

// --- hooks: a component has a frame only when it uses one ---

let frame = null, idNumber = 0;

function cell() {
  frame ??= { at: 0, cells: [], dirty: false };
  return frame.cells[frame.at++] ??= {};
}

export const invoke = (value, given) => typeof value === "function" ? value(given) : value;

export function useReducer(reducer, initial, init) {
  const own = cell(), mine = frame;
  own.reducer = reducer;
  own.value ??= [init ? init(initial) : invoke(initial), (action) => {
    const next = own.reducer(own.value[0], action);
    if (is(next, own.value[0])) return;
    own.value = [next, own.value[1]];
    mine.dirty = true;
  }];
  return own.value;
}

export const useState = (initial) => useReducer((value, update) => invoke(update, value), initial);

export function useMemo(factory, inputs) {
  const own = cell();
  if (!own.inputs || !inputs || own.inputs.length !== inputs.length || inputs.some((x, i) => !is(x, own.inputs[i]))) {
    const mine = frame, at = frame.at;
    own.value = factory();
    frame = mine;
    frame.at = at;
    own.inputs = inputs;
  }
  return own.value;
}

export const useRef = (initial) => useMemo(() => ({ current: initial }), none);
export const useCallback = (callback, inputs) => useMemo(() => callback, inputs);
export const useContext = (Context) => valueOf(Context);
export const useEffect = () => { cell(); };
export const useDebugValue = () => {};
export const useId = () => cell().value ??= `P0-${idNumber++}`;
export function useErrorBoundary() {
  cell();
  return [undefined, () => {}];
}

// --- writing: `parts` become the page; those numbered in `texts` are yet to be escaped ---

let parts = [], texts = [], trail = [];

const special = /["&<]/;
export const escape = (text) => !special.test(text) ? text
  : text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");

function finish() {
  if (texts.length) {
    const all = [];
    for (let i = 0; i < texts.length; i++) all.push(parts[texts[i]]);
    const joined = all.join("\0");
    if (special.test(joined)) {
      const clean = escape(joined).split("\0");
      if (clean.length === all.length) for (let i = 0; i < clean.length; i++) parts[texts[i]] = clean[i];
      else for (let i = 0; i < all.length; i++) parts[texts[i]] = escape(all[i]);
    }
  }
  return parts.join("");
}

function text(value) {
  texts.push(parts.length);
  parts.push(value);
}

// Return the HTML of a node; `trail` then names the components around what threw.
export function renderToString(node) {
  const outer = [parts, texts];
  parts = []; texts = [];
  try {
    write(node, false, undefined);
    return finish();
  } finally {
    [parts, texts] = outer;
  }
}

export const failedIn = () => trail.map((type) => type.displayName || type.name || "Anonymous");

export function reset() {
  parts = []; texts = []; trail = []; contexts = legacy = nothing; frame = null; idNumber = 0;
}

export function write(value, svg, chosen) {
  switch (typeof value) {
    case "string": if (value !== "") text(value); return;
    case "number": case "bigint": parts.push(`${value}`); return;
    case "object": break;
    default: return;
  }
  if (value === null) return;
  if (value instanceof Template) {
    if (svg) return write(value.node, svg, chosen);
    return writeTemplate(value.form, value.values, chosen);
  }
  if (isArray(value)) {
    for (let i = 0; i < value.length; i++) write(value[i], svg, chosen);
    return;
  }
  if (value instanceof Node) {
    if (typeof value.type === "function") writeComponent(value.type, value.props, svg, chosen);
    else writeElement(value.type, value.props, svg, chosen);
    return;
  }
  if (isSignal(value)) return write(value.value, svg, chosen);
  if (typeof value.then === "function") throw new TypeError("a promise cannot be rendered: load data in Python, before the page");
}

const isSignal = (value) => typeof value.peek === "function" && "value" in value;

function writeTemplate(form, values, chosen) {
  const { statics, holes } = form;
  parts.push(statics[0]);
  for (let i = 0; i < holes.length; i++) {
    const value = values[i], hole = holes[i], kind = typeof value;
    if (hole === 0 || hole === 1) {
      if (kind === "string") { texts.push(parts.length); parts.push(value, statics[i + 1]); continue; }
      if (kind === "number") { parts.push(`${value}`, statics[i + 1]); continue; }
      write(value, hole === 1, chosen);
    } else if (hole !== 2) {
      if (kind === "string" && value !== "") {
        texts.push(parts.length + 1);
        parts.push(hole.begin, value, '"', statics[i + 1]);
        continue;
      }
      writeAttribute(hole.name, value);
    }
    parts.push(statics[i + 1]);
  }
}

function writeAttribute(name, value) {
  if (typeof value === "object" && value !== null) {
    if (isSignal(value)) value = value.value;
    if (name === "style" && typeof value === "object" && value !== null) value = css(value);
  }
  if (value == null || (typeof value === "function" && name !== "class")) return;
  if (value !== true && value !== false && value !== "") {
    parts.push(` ${name}="`);
    text(`${value}`);
    parts.push('"');
  } else if (name[4] === "-" || name === "draggable" || name === "spellcheck") {
    if (value === "") parts.push(` ${name}`);
    else parts.push(` ${name}="${value}"`);
  } else if (value !== false) parts.push(` ${name}`);
}

// --- components ---

function writeComponent(type, props, svg, chosen) {
  if (type === $Fragment$) {
    if ("UNSTABLE_comment" in props) {
      parts.push("<!--");
      text(`${props.UNSTABLE_comment}`);
      parts.push("-->");
    } else write(props.children, svg, chosen);
    return;
  }
  const outer = contexts;
  if (type.number !== undefined && type.Provider === type) {
    contexts = { __proto__: outer, [type.number]: props.value };
    write(props.children, svg, chosen);
    contexts = outer;
    return;
  }
  trail.push(type);
  if (type.prototype && typeof type.prototype.render === "function") writeClass(type, props, svg, chosen);
  else {
    frame = null;
    const given = type.contextType ? valueOf(type.contextType) : legacy;
    let made = type(props, given);
    if (frame !== null && frame.dirty) {
      const mine = frame;
      for (let turn = 0; mine.dirty && turn < 25; turn++) {
        frame = mine; mine.dirty = false; mine.at = 0;
        made = type(props, given);
      }
    }
    write(made, svg, chosen);
  }
  trail.pop();
}

function writeClass(type, props, svg, chosen) {
  const context = type.contextType ? valueOf(type.contextType) : legacy, before = legacy;
  const made = new type(props, context);
  made.props = props; made.context = context; made.state ??= {}; made.next ??= made.state;
  if (type.getDerivedStateFromProps) {
    made.state = assign({}, made.state, type.getDerivedStateFromProps(made.props, made.state));
  } else if (made.componentWillMount) {
    made.componentWillMount();
    made.state = made.next;
  }
  made.dirty = false;
  const show = () => {
    frame = null;
    const shown = made.render(made.props, made.state, made.context);
    if (made.getChildContext) legacy = assign({}, before, made.getChildContext());
    write(shown, svg, chosen);
  };
  if (type.getDerivedStateFromError || made.componentDidCatch) withBoundary(type, made, show);
  else show();
  legacy = before;
}

// What was written below a boundary that caught something is forgotten.
function withBoundary(type, made, show) {
  const size = parts.length, marked = texts.length, depth = trail.length, at = [contexts, legacy];
  try {
    show();
  } catch (error) {
    parts.length = size; texts.length = marked; trail.length = depth; [contexts, legacy] = at;
    if (type.getDerivedStateFromError) {
      made.next = assign({}, made.state, type.getDerivedStateFromError(error));
      made.dirty = true;
    }
    if (made.componentDidCatch) made.componentDidCatch(error, {});
    if (!made.dirty) return;
    made.state = made.next;
    show();
  }
}

// --- elements that are no templates ---

const empty = new Set(["area", "base", "br", "col", "command", "embed", "hr", "img", "input", "keygen", "link", "meta",
                       "param", "source", "track", "wbr"]);
const unsafe = /[\s\n\\/='"\0<>]/;
const spaced = /^(xlink|xmlns|xml)([A-Z])/;
const lowered = /^(?:accessK|auto[A-Z]|cell|ch|col|cont|cross|dateT|encT|form[A-Z]|frame|hrefL|inputM|maxL|minL|noV|playsI|popoverT|readO|rowS|src[A-Z]|tabI|useM|item[A-Z])/;
const dashed = /^ac|^ali|arabic|basel|cap|clipPath$|clipRule$|color|dominant|enable|fill|flood|font|glyph[^R]|horiz|image|letter|lighting|marker[^WUH]|overline|panose|pointe|paint|rendering|shape|stop|strikethrough|stroke|text[^L]|transform|underline|unicode|units|^v[^i]|^w|^xH/;
const renamed = { htmlFor: "for", className: "class", defaultChecked: "checked", defaultSelected: "selected",
                  defaultValue: "value", acceptCharset: "accept-charset", httpEquiv: "http-equiv" };
const skipped = new Set(["children", "key", "ref", "__self", "__source", "dangerouslySetInnerHTML"]);
const htmlNames = new Map(), svgNames = new Map(), styleNames = {};

// Return the attribute for a property, "" for one that is none.
function nameOf(property, svg) {
  const known = svg ? svgNames : htmlNames;
  let name = known.get(property);
  if (name === undefined) {
    known.set(property, name = findName(property, svg));
  }
  return name;
}

function findName(property, svg) {
  if (skipped.has(property) || unsafe.test(property)) return "";
  if (property in renamed) return renamed[property];
  if (spaced.test(property)) return property.replace(spaced, "$1:$2").toLowerCase();
  if (property[4] === "-" || property === "draggable" || property === "spellcheck") return property;
  if (!svg) return lowered.test(property) ? property.toLowerCase() : property;
  if (!dashed.test(property)) return property;
  return property === "panose1" ? "panose-1" : property.replace(/([A-Z])/g, "-$1").toLowerCase();
}

const plain = new Set(["animation-iteration-count", "border-image-outset", "border-image-slice", "border-image-width",
  "box-flex", "box-flex-group", "box-ordinal-group", "column-count", "fill-opacity", "flex", "flex-grow", "flex-negative",
  "flex-order", "flex-positive", "flex-shrink", "flood-opacity", "font-weight", "grid-column", "grid-row", "line-clamp",
  "line-height", "opacity", "order", "orphans", "stop-opacity", "stroke-dasharray", "stroke-dashoffset",
  "stroke-miterlimit", "stroke-opacity", "stroke-width", "tab-size", "widows", "z-index", "zoom"]);

function css(style) {
  let out = "";
  for (const property in style) {
    const value = style[property];
    if (value == null || value === "") continue;
    const name = property[0] === "-" ? property
      : styleNames[property] ??= property.replace(/[A-Z]/g, "-$&").toLowerCase();
    const pixels = typeof value === "number" && !name.startsWith("--") && !plain.has(name);
    out += `${name}:${value}${pixels ? "px;" : ";"}`;
  }
  return out || undefined;
}

function writeElement(type, props, svg, chosen) {
  if (unsafe.test(type)) throw new Error(`${type} is not a valid HTML tag name in <${type}>`);
  const names = keys(props);
  let children, content;
  parts.push(`<${type}`);
  for (let i = 0; i < names.length; i++) {
    const property = names[i];
    let value = props[property];
    if (property === "children") { children = value; continue; }
    if (typeof value === "object" && value !== null && isSignal(value)) value = value.value;
    const name = nameOf(property, svg);
    if (name === "") {
      if (property === "dangerouslySetInnerHTML") content = value && value.__html;
      continue;
    }
    if (property !== name && (property === "className" && "class" in props || property === "htmlFor" && "for" in props)) {
      continue;
    }
    if (typeof value === "function" && name !== "class") continue;
    if (name === "value") {
      if (type === "textarea") { children = value; continue; }
      if (type === "select") { chosen = value; continue; }
      if (type === "option" && chosen == value && !("selected" in props)) parts.push(" selected");
    }
    writeAttribute(name, value);
  }
  const start = parts.length;
  parts.push(">");
  if (content) parts.push(`${content}`);
  else if (children != null) write(children, type === "svg" || (type !== "foreignObject" && svg), chosen);
  if (empty.has(type) && parts.length === start + 1) parts[start] = "/>";
  else parts.push(`</${type}>`);
}
