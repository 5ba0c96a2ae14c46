// `echelon/view` on the server: what a page says about the document around it, and islands.
import { $jsx$, $Fragment$, isValidElement, toChildArray, createContext, useContext, renderToString } from "../preact/core.js";

const viewport = '<meta name="viewport" content="width=device-width, initial-scale=1"/>'; // unless the page has its own
const page = { head: new Map(), live: false, first: new Set(), lang: "", route: null, files: {} };

export const setFiles = (files) => { page.files = files; };

export function begin(route) {
  page.head.clear();
  page.head.set("meta viewport", viewport);
  page.live = false;
  page.first.clear();
  page.lang = "";
  page.route = route;
}

// `live` says whether there are islands, `first` are the files of those that the browser needs at once.
export const ended = () => ({
  head: [...page.head.values()].join(""), live: page.live, first: [...page.first], lang: page.lang,
});

export const useRoute = () => page.route;

// Put elements into <head>. What there can be one of replaces what was there before: layouts first, then the page.
export function Head({ children, lang }) {
  if (lang) page.lang = `${lang}`;
  for (const child of toChildArray(children)) addToHead(child);
  return null;
}

function addToHead(child) {
  if (isValidElement(child) && child.type === $Fragment$) {
    for (const inner of toChildArray(child.props.children)) addToHead(inner);
    return;
  }
  if (!isValidElement(child)) throw new TypeError("<Head> takes elements such as <title>, not text");
  const key = headKey(child);
  if (key === "charset") return; // documents are UTF-8, which comes first
  const html = renderToString(child);
  page.head.set(key ?? html, html);
}

function headKey({ type, props }) {
  if (type === "title" || type === "base") return type;
  if (type === "link" && props.rel === "canonical") return "canonical";
  if (type !== "meta") return undefined;
  const name = props.name ?? props.property ?? props.httpEquiv ?? props["http-equiv"];
  return props.charset || props.charSet ? "charset" : name && `meta ${name}`;
}

const Inside = createContext(false);
const moments = ["load", "idle", "visible"];

// Make a component of a file below islands/ one that goes on in the browser.
export function island(component, file) {
  const Island = (props) => {
    if (useContext(Inside)) return $jsx$(component, props);
    const { hydrate = "load", children, ...rest } = props;
    if (!moments.includes(hydrate)) {
      throw new TypeError(`${file}: hydrate="${hydrate}" is not known; use ${moments.join(", ")}`);
    }
    const text = JSON.stringify(rest, (name, value) => {
      if (typeof value === "function" || typeof value === "bigint" || isValidElement(value)) {
        const kind = isValidElement(value) ? "an element" : `a ${typeof value}`;
        throw new TypeError(`${file}: the property "${name}" is ${kind}, which cannot be sent to the browser`);
      }
      return value;
    });
    page.live = true;
    if (hydrate === "load") page.first.add(page.files[file]);
    if (children !== undefined) {
      const slot = $jsx$("echelon-slot", { style: "display:contents", children });
      rest.children = $jsx$(Inside, { value: false, children: slot });
    }
    const inner = $jsx$(Inside, { value: true, children: $jsx$(component, rest) });
    const where = { src: page.files[file], when: hydrate, props: text, style: "display:contents" };
    return $jsx$("echelon-island", { ...where, children: inner });
  };
  Island.displayName = component.displayName || component.name;
  return Island;
}
