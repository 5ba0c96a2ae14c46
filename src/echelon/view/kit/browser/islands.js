// Runs in the browser on pages with islands: fetches each island's component when its moment comes, and hydrates it.
import { h, hydrate } from "preact";

async function start(element) {
  const { default: component } = await import(new URL(element.getAttribute("src"), import.meta.url).href);
  const props = JSON.parse(element.getAttribute("props"));
  const slot = element.querySelector("echelon-slot");
  if (slot !== null && slot.closest("echelon-island") === element) {
    const html = { __html: slot.innerHTML };
    props.children = h("echelon-slot", { style: "display:contents", dangerouslySetInnerHTML: html });
  }
  hydrate(h(component, props), element);
  element.setAttribute("hydrated", "");
}

const later = globalThis.requestIdleCallback ?? ((action) => setTimeout(action, 200));
const moments = {
  load: (element) => start(element),
  idle: (element) => later(() => start(element)),
  visible: (element) => {
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      start(element);
    }, { rootMargin: "200px" });
    if (element.firstElementChild === null) return start(element);
    for (const child of element.children) observer.observe(child); // the element itself has no box
  },
};

const seen = new WeakSet();
function look(root) {
  for (const element of root.querySelectorAll("echelon-island")) {
    if (seen.has(element)) continue;
    seen.add(element);
    moments[element.getAttribute("when")](element);
  }
}

look(document);
new MutationObserver((changes) => { // fragments that are put into the page
  if (changes.some((change) => change.addedNodes.length > 0)) look(document);
}).observe(document.body, { childList: true, subtree: true });
