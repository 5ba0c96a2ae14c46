// What the host calls: one function for all pages. Its answer is a line of JSON about the page, then the page.
import { $jsx$, renderToString, failedIn, reset } from "../preact/core.js";
import { begin, ended, setFiles } from "./view.js";

export { $tpl$, $static$ } from "../preact/core.js"; // which templates call

function compose(pages, layouts, request, props) {
  const module = pages[request.page], wanted = request.part === "" || request.part === "page" ? "default" : request.part;
  const component = Object.hasOwn(module, wanted) ? module[wanted] : undefined;
  if (typeof component !== "function") return undefined;
  let node = $jsx$(component, props);
  if (request.part === "") {
    for (let i = request.layouts.length - 1; i >= 0; i--) {
      node = $jsx$(layouts[request.layouts[i]].default, { children: node });
    }
  }
  return node;
}

const about = (error) => typeof error === "object" && error !== null
  ? { name: `${error.name ?? "Error"}`, message: `${error.message ?? ""}`, stack: `${error.stack ?? ""}` }
  : { name: "", message: `${error}`, stack: "" };

// `files` says in which file for the browser each island is.
export const serve = (pages, layouts, files) => {
  setFiles(files);
  return (request, props) => answer(pages, layouts, request, props);
};

function answer(pages, layouts, request, props) {
  reset();
  try {
    const asked = JSON.parse(request);
    begin(asked.route);
    const node = compose(pages, layouts, asked, JSON.parse(props));
    if (node === undefined) return `{"missing":true}\n`;
    const body = renderToString(node);
    return `${JSON.stringify(ended())}\n${body}`;
  } catch (error) {
    return `${JSON.stringify({ error: { ...about(error), components: failedIn() } })}\n`;
  }
}
