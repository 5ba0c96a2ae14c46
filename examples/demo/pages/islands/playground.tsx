// Type a program, choose its language, call its functions. Whatever a visitor typed is put on the page as text.

import { useEffect, useRef, useState } from "preact/hooks";
import { Arguments } from "../parts/arguments";
import { Editor } from "../parts/editor";
import { Outcome } from "../parts/outcome";
import { Runs } from "../parts/runs";
import { type Program, beginning, recall, remember, typedBefore, untouched } from "../parts/programs";
import type { Answer, Diagnostic, Export, Offer, Run } from "../parts/types";
import { split, toField, toJson } from "../parts/values";

interface Props { offers: Offer[]; runs: Run[]; cursor: string | null }

const SWITCHES: [string, string][] = [
  ["env", "env: the variables PLAYGROUND_*"],
  ["kv", 'kv: keys that begin with "playground"'],
  ["sys", "sys: the language of this server"],
];

async function ask(url: string, method = "GET", body?: string): Promise<[boolean, any]> {
  const headers = body === undefined ? undefined : { "Content-Type": "application/json" };
  try {
    const response = await fetch(url, { method, headers, body });
    return [response.ok, response.status === 204 ? {} : await response.json()];
  } catch (error) {
    return [false, { title: "The server does not answer", detail: String(error) }];
  }
}

export default function Playground({ offers, runs: first, cursor: following }: Props) {
  const begin = offers.find((offer) => offer.found && offer.samples.length > 0)!.samples[0];
  const [language, setLanguage] = useState(begin.language);
  const [source, setSource] = useState(() => typedBefore(begin.source));
  const [compiled, setCompiled] = useState<{ key: string; exports: Export[] } | null>(null);
  const [name, setName] = useState(begin.function);
  const [values, setValues] = useState<string[]>(split(begin.args));
  const [switches, setSwitches] = useState<string[]>([]);
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [shown, setShown] = useState("");
  const [place, setPlace] = useState<Diagnostic | null>(null);
  const [busy, setBusy] = useState(false);
  const [own, setOwn] = useState<Record<string, Program>>({});
  const [runs, setRuns] = useState(first);
  const [cursor, setCursor] = useState(following);
  const form = useRef<HTMLFormElement>(null);
  const offer = offers.find((one) => one.name === language)!;
  const key = `${language}\n${source}`;
  const fresh = compiled !== null && compiled.key === key;
  const fn = fresh ? compiled.exports.find((one) => one.name === name) ?? compiled.exports[0] : undefined;

  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      form.current?.requestSubmit();
    };
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, []);

  const sample = untouched(offers, language, source);
  const kept = own[language];

  useEffect(() => {
    const before = recall();
    const last = Object.values(before).at(-1);
    setOwn(before);
    if (!sample) keep(language, source, before);
    else if (last && offers.some((one) => one.name === last.language)) show(last);
  }, []);

  /** Keep the visitor's own text of a language. */
  function keep(where: string, text: string, before = own) {
    const { [where]: _, ...others } = before;
    const all = { ...others, [where]: { language: where, source: text, function: name, args: "" } };
    setOwn(all);
    remember(all);
  }

  function edit(text: string) {
    setSource(text);
    setPlace(null);
    if (text.trim() && !untouched(offers, language, text)) keep(language, text);
  }

  function show(program: Program) {
    setLanguage(program.language);
    setSource(program.source);
    setName(program.function);
    setValues(split(program.args));
    setAnswer(null);
    setCompiled(null);
  }

  /** Change the language: an example gives way to the new language's, a visitor's own text stays. */
  function choose(next: string) {
    setAnswer(null);
    if (sample || !source.trim()) {
      show(beginning(offers, next));
    } else {
      setLanguage(next);
      keep(next, source);
    }
  }

  function pick(value: string) {
    show(value === "kept" ? kept : offer.samples[Number(value)]);
  }

  /** Compile, and make the form of what is exported; the values so far are kept, as the fields show them. */
  async function compile(): Promise<Export | undefined> {
    const [ok, made] = await ask("/playground/compile", "POST", JSON.stringify({ language, source }));
    setShown(source);
    if (!ok) {
      setAnswer(made);
      return undefined;
    }
    const found: Export | undefined = made.exports.find((one: Export) => one.name === name) ?? made.exports[0];
    setCompiled({ key, exports: made.exports });
    setAnswer(found ? null : { title: "Nothing is exported", detail: "Export a function to call it.", ...made });
    if (found) {
      setName(found.name);
      setValues((old) => found.params.map((param, index) => toField(param.type, old[index] ?? "")));
    }
    return found;
  }

  async function run() {
    setBusy(true);
    setPlace(null);
    try {
      const wanted = fn ?? await compile();
      if (!wanted) return;
      const fields = fn ? values : wanted.params.map((param, index) => toField(param.type, values[index] ?? ""));
      let args: string;
      try {
        args = wanted.params.map((param, index) => toJson(param, fields[index] ?? "")).join(",");
      } catch (error) {
        setAnswer({ title: "An argument is missing or wrong", detail: (error as Error).message });
        return;
      }
      const rest = JSON.stringify({ language, source, function: wanted.name, permissions: switches });
      const [, result] = await ask("/playground", "POST", `${rest.slice(0, -1)},"args":[${args}]}`);
      setShown(source);
      setAnswer(result);
      const [ok, page] = await ask("/api/runs");
      if (ok) { setRuns(page.runs); setCursor(page.cursor); }
    } finally {
      setBusy(false);
    }
  }

  async function compileOnly() {
    setBusy(true);
    setPlace(null);
    await compile();
    setBusy(false);
  }

  async function forget(run: Run) {
    const [ok] = await ask(`/api/runs/${run.id}`, "DELETE");
    if (ok) setRuns((old) => old.filter((one) => one.id !== run.id));
  }

  async function forgetAll() {
    const [ok] = await ask("/api/runs", "DELETE");
    if (ok) { setRuns([]); setCursor(null); }
  }

  async function older() {
    const [ok, page] = await ask(`/api/runs?cursor=${encodeURIComponent(cursor!)}`);
    if (ok) { setRuns((old) => [...old, ...page.runs]); setCursor(page.cursor); }
  }

  return (
    <>
      <section aria-labelledby="program">
        <h2 id="program">Your program</h2>
        <form ref={form} autocomplete="off" onSubmit={(event) => { event.preventDefault(); if (!busy) void run(); }}>
          <div class="bar">
            <label>Language
              <select id="language" value={language} onChange={(event) => choose(event.currentTarget.value)}>
                {offers.map((one) => (
                  <option key={one.name} value={one.name}>{one.title + (one.found ? "" : " (not installed)")}</option>
                ))}
              </select>
            </label>
            <label>Example
              <select
                id="example" value={sample ? offer.samples.indexOf(sample) : "own"} disabled={offer.samples.length === 0}
                onChange={(event) => pick(event.currentTarget.value)}
              >
                {!sample && <option value="own">your own</option>}
                {kept && kept.source !== source && <option value="kept">your own, as you left it</option>}
                {offer.samples.map((one, index) => <option key={index} value={index}>{one.title}</option>)}
              </select>
            </label>
          </div>
          {!offer.found && <p class="notice">Its compiler is not here. On the server, type <code>{offer.install}</code></p>}
          <Editor
            source={source} diagnostics={shown === source ? answer?.diagnostics ?? [] : []} goTo={place}
            onSource={edit}
          />
          <fieldset class="switches">
            <legend>Permissions</legend>
            {SWITCHES.map(([permission, label]) => (
              <label key={permission} class="check">
                <input
                  type="checkbox" role="switch" checked={switches.includes(permission)}
                  onChange={(event) => setSwitches((old) => event.currentTarget.checked
                    ? [...old, permission] : old.filter((one) => one !== permission))}
                /> {label}
              </label>
            ))}
          </fieldset>
          {fn && compiled ? (
            <>
              <label>Function
                <select
                  id="function" value={fn.name}
                  onChange={(event) => { setName(event.currentTarget.value); setValues([]); setAnswer(null); }}
                >
                  {compiled.exports.map((one) => <option key={one.name} value={one.name}>{signature(one)}</option>)}
                </select>
              </label>
              <Arguments
                fn={fn} values={values}
                onValue={(index, text) => setValues((old) => fn.params.map((_, at) => at === index ? text : old[at] ?? ""))}
              />
            </>
          ) : <p class="hint">Compile it to see what it exports and to fill in the arguments.</p>}
          <div class="bar buttons">
            <button type="button" class="quiet" aria-disabled={busy} onClick={() => { if (!busy) void compileOnly(); }}>Compile</button>
            <button id="run" type="submit" aria-disabled={busy}>Compile and run</button>
          </div>
          <p id="hint" class="hint"><kbd>Ctrl</kbd>+<kbd>Enter</kbd> runs it too.</p>
        </form>
        <div id="outcome" role="status" aria-live="polite" aria-busy={busy}>
          <Outcome answer={answer} source={shown} onPlace={(item) => setPlace({ ...item })} />
        </div>
      </section>
      <Runs
        runs={runs} more={cursor !== null} onDelete={(run) => void forget(run)} onDeleteAll={() => void forgetAll()}
        onMore={() => void older()}
        onOpen={(run) => { show(run); document.getElementById("editor")?.focus(); }}
      />
    </>
  );
}

function signature(fn: Export): string {
  const params = fn.params.map((param) => (param.name ? `${param.name}: ` : "") + param.type).join(", ");
  return `${fn.name}(${params})` + (fn.results.length ? ` -> ${fn.results.join(", ")}` : "");
}
