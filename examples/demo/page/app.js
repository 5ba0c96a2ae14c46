// The playground's page. Whatever a visitor typed is put on it as text, never as markup.
"use strict";

const EXAMPLES = {
  fib: ["typescript", "fib", "30",
    "export function fib(n: i32): i32 {\n  return n < 2 ? n : fib(n - 1) + fib(n - 2);\n}\n"],
  greet: ["typescript", "greet", '"Ada"',
    'export function greet(name: string): string {\n  console.log("greeting " + name);\n  return "Hello, " + name + "!";\n}\n'],
  primes: ["typescript", "primes", "50",
    "export function primes(limit: i32): i32[] {\n  const found: i32[] = [];\n  for (let n = 2; n < limit; n++) {\n    let prime = true;\n    for (let i = 0; i < found.length && prime; i++) {\n      if (n % found[i] == 0) prime = false;\n    }\n    if (prime) found.push(n);\n  }\n  return found;\n}\n"],
  broken: ["typescript", "area", "2.5",
    'export function area(radius: f64): f64 {\n  const pi: f64 = "three";\n  return pi * radius * radius;\n}\n'],
  forever: ["typescript", "forever", "",
    "export function forever(): void {\n  while (true) {}\n}\n"],
  add: ["wat", "add", "2, 40",
    '(module\n  (func (export "add") (param i32 i32) (result i32)\n    (i32.add (local.get 0) (local.get 1))))\n'],
};

const $ = (id) => document.getElementById(id);
const editor = $("editor"), lines = $("lines"), outcome = $("outcome"), list = $("runs");

/** Make an element with text and children. */
function make(tag, text, ...children) {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  element.append(...children);
  return element;
}

function say(className, text) {
  const element = make("p", text);
  element.className = className;
  return element;
}

/** Number the lines, and mark those that the compiler complains about. */
function number(bad = new Set()) {
  const count = editor.value.split("\n").length;
  lines.replaceChildren();
  for (let line = 1; line <= count; line++) {
    if (bad.has(line)) {
      const mark = make("span", String(line));
      mark.className = "bad";
      lines.append(mark, "\n");
    } else {
      lines.append(line + "\n");
    }
  }
  lines.scrollTop = editor.scrollTop;
}

function open(language, fn, args, source) {
  $("language").value = language;
  $("function").value = fn;
  $("args").value = args;
  editor.value = source;
  outcome.replaceChildren();
  number();
}

/** Put the cursor where a diagnostic points. */
function goTo(line, column) {
  const before = editor.value.split("\n").slice(0, line - 1);
  const place = before.reduce((sum, text) => sum + text.length + 1, 0) + Math.max(0, column - 1);
  editor.focus();
  editor.setSelectionRange(place, place + 1);
}

function diagnostics(items) {
  const places = make("ul");
  places.className = "places";
  for (const item of items) {
    const text = (item.line ? `line ${item.line}, column ${item.column}: ` : "") + item.message;
    const button = make("button", text);
    button.type = "button";
    if (item.line) button.addEventListener("click", () => goTo(item.line, item.column));
    else button.disabled = true;
    places.append(make("li", "", button));
    const source = editor.value.split("\n")[item.line - 1];
    if (item.line && source !== undefined) {
      places.append(make("pre", source + "\n" + source.slice(0, item.column - 1).replace(/[^\t]/g, " ") + "^"));
    }
  }
  return places;
}

function facts(pairs) {
  const table = make("dl");
  for (const [name, value] of pairs) {
    if (value !== null && value !== undefined) table.append(make("div", "", make("dt", name), make("dd", value)));
  }
  return table;
}

function cost(answer) {
  const used = answer.cost;
  if (!used) return [];
  return [
    ["time", `${used.wall_ms} ms`],
    ["processor", `${used.cpu_ms} ms`],
    ["memory", `${used.memory_bytes / 1024} KiB`],
    ["host calls", String(used.host_calls)],
  ];
}

/** Show what the guest printed and logged. */
function output(answer) {
  const parts = [];
  const logged = (answer.logs || []).map((entry) => `${entry.level}: ${entry.message}`).join("\n");
  for (const [name, text] of [["Output", answer.stdout], ["Errors", answer.stderr], ["Logs", logged]]) {
    if (text) parts.push(make("h3", name), make("pre", text));
  }
  return parts;
}

function showAnswer(answer) {
  outcome.replaceChildren(
    make("h3", "Value"), say("value", answer.text), ...output(answer),
    facts([...cost(answer),
      ["compiled in", answer.cached ? `${answer.compile_ms} ms (cached)` : `${answer.compile_ms} ms`],
      ["module", `${answer.size} bytes`]]),
    say("hint", "Exports: " + answer.exports.map((one) => one.name).join(", ")),
  );
  number();
}

function showProblem(problem) {
  const places = problem.diagnostics || [];
  const frames = (problem.frames || []).map((frame) => `at ${frame.function}`).join("\n");
  outcome.replaceChildren(make("h3", problem.title || "It did not work"));
  outcome.append(places.length ? diagnostics(places) : say("failure", problem.detail || ""));
  if (frames) outcome.append(make("pre", frames));
  outcome.append(...output(problem), facts(cost(problem)));
  number(new Set(places.map((item) => item.line)));
}

/** One run as an item of the list; the server makes the same of the first ones (render.py). */
function row(run) {
  const item = $("row").content.firstElementChild.cloneNode(true);
  const part = (name) => item.querySelector(name);
  item.classList.add(run.ok ? "good" : "bad");
  Object.assign(item.dataset, { id: run.id, language: run.language, function: run.function, args: run.args });
  part(".mark").textContent = run.ok ? "✓" : "✗";
  part(".call").textContent = `${run.function}(${run.args})`;
  part(".result").textContent = run.result;
  part(".facts").textContent = `${new Date(run.at).toLocaleString()} · ${run.language} · ${run.ms} ms`;
  part(".source").textContent = run.source;
  return item;
}

function tidy() {
  $("none").hidden = list.children.length > 0;
  $("more").hidden = !list.dataset.cursor;
  $("forget").hidden = list.children.length === 0;
}

async function json(url, options) {
  const response = await fetch(url, options);
  const body = response.status === 204 ? {} : await response.json();
  return [response.ok, body];
}

/** Read the list from its beginning again, as others add to it. */
async function refresh() {
  const [ok, page] = await json("/api/runs");
  if (!ok) return;
  list.replaceChildren(...page.runs.map(row));
  list.dataset.cursor = page.cursor || "";
  tidy();
}

async function run() {
  const args = `[${$("args").value}]`;
  try {
    JSON.parse(args);
  } catch (error) {
    showProblem({ title: "The arguments are not JSON", detail: `${error.message}. Write for example: 30, "text", [1, 2]` });
    $("args").focus();
    return;
  }
  const rest = { language: $("language").value, source: editor.value, function: $("function").value.trim() };
  const button = $("run");
  button.disabled = true;
  outcome.setAttribute("aria-busy", "true");
  try {
    // The arguments go as they were typed: JSON.parse would round large integers.
    const body = JSON.stringify(rest).slice(0, -1) + `,"args":${args}}`;
    const [ok, answer] = await json("/playground",
      { method: "POST", headers: { "Content-Type": "application/json" }, body });
    if (ok) showAnswer(answer);
    else showProblem(answer);
    await refresh();
  } catch (error) {
    showProblem({ title: "The server does not answer", detail: String(error) });
  } finally {
    button.disabled = false;
    outcome.removeAttribute("aria-busy");
  }
}

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  run();
});
$("example").addEventListener("change", (event) => open(...EXAMPLES[event.target.value]));
editor.addEventListener("input", () => number());
editor.addEventListener("scroll", () => { lines.scrollTop = editor.scrollTop; });
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !$("run").disabled) {
    event.preventDefault();
    run();
  }
});
list.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-action]");
  if (!button) return;
  const item = button.closest(".run");
  if (button.dataset.action === "delete") {
    await json(`/api/runs/${item.dataset.id}`, { method: "DELETE" });
    item.remove();
    tidy();
    return;
  }
  const { language, function: name, args } = item.dataset;
  open(language, name, args, item.querySelector(".source").textContent);
  editor.focus();
});
$("more").addEventListener("click", async () => {
  const [ok, page] = await json(`/api/runs?cursor=${encodeURIComponent(list.dataset.cursor)}`);
  if (!ok) return;
  list.append(...page.runs.map(row));
  list.dataset.cursor = page.cursor || "";
  tidy();
});
$("forget").addEventListener("click", async () => {
  await json("/api/runs", { method: "DELETE" });
  await refresh();
});

open(...EXAMPLES.fib);
tidy();
json("/api/visits", { method: "POST" }).then(([ok, answer]) => {
  if (ok) $("visits").textContent = answer.visits;
}, () => {});
