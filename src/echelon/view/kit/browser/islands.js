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
  const served = [...element.childNodes];
  try {
    hydrate(h(component, props), element);
  } catch (error) { // Preact takes out what it was about to take over
    element.replaceChildren(...served);
    throw error;
  }
  element.setAttribute("hydrated", "");
}

// What can come into view: islands and slots themselves have no box.
function boxesIn(element) {
  return [...element.children].flatMap((child) => child.style.display === "contents" ? boxesIn(child) : [child]);
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
    const boxes = boxesIn(element);
    if (boxes.length === 0) return start(element);
    for (const box of boxes) observer.observe(box);
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
