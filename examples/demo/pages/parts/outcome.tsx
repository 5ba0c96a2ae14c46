// What came of a compile or a call: value, output, cost, or what went wrong and where.

import type { Answer, Diagnostic } from "./types";

interface Props { answer: Answer | null; source: string; onPlace: (place: Diagnostic) => void }

export function Outcome({ answer, source, onPlace }: Props) {
  if (answer === null) return null;
  const diagnostics = answer.diagnostics ?? [];
  const frames = (answer.frames ?? []).map(
    (frame) => `at ${frame.function}${frame.file ? ` (${frame.file}:${frame.line})` : ""}`);
  return (
    <>
      {answer.text !== undefined
        ? <><h3>Value</h3><p class="value">{answer.text}</p></>
        : <h3>{answer.title ?? "It did not work"}</h3>}
      {answer.text === undefined && diagnostics.length === 0 && <p class="failure">{answer.detail}</p>}
      <Places items={diagnostics} source={source} onPlace={onPlace} />
      {frames.length > 0 && <pre tabIndex={0}>{frames.join("\n")}</pre>}
      <Printed answer={answer} />
      <Facts answer={answer} />
    </>
  );
}

function Places({ items, source, onPlace }: { items: Diagnostic[]; source: string; onPlace: Props["onPlace"] }) {
  if (items.length === 0) return null;
  const lines = source.split("\n");
  return (
    <ul class="places">
      {items.map((item, index) => {
        const line = item.line ? lines[item.line - 1] : undefined;
        const before = line?.slice(0, item.column - 1).replace(/[^\t]/g, " ");
        return (
          <li key={index}>
            <button type="button" disabled={!item.line} onClick={() => onPlace(item)}>
              {(item.line ? `line ${item.line}, column ${item.column}: ` : "") + item.message}
            </button>
            {line !== undefined && <pre tabIndex={0}>{`${line}\n${before}^`}</pre>}
          </li>
        );
      })}
    </ul>
  );
}

function Printed({ answer }: { answer: Answer }) {
  const logged = (answer.logs ?? []).map((entry) => `${entry.level}: ${entry.message}`).join("\n");
  const parts: [string, string | undefined][] = [["Output", answer.stdout], ["Errors", answer.stderr], ["Logs", logged]];
  return <>{parts.map(([name, text]) => text && <div key={name}><h3>{name}</h3><pre tabIndex={0}>{text}</pre></div>)}</>;
}

function Facts({ answer }: { answer: Answer }) {
  const facts: [string, string][] = [];
  if (answer.cost) {
    facts.push(
      ["time", `${answer.cost.wall_ms} ms`], ["processor", `${answer.cost.cpu_ms} ms`],
      ["memory", `${answer.cost.memory_bytes / 1024} KiB`], ["host calls", String(answer.cost.host_calls)]);
  }
  if (answer.compile_ms !== undefined) {
    facts.push(["compiled in", `${answer.compile_ms} ms${answer.cached ? " (cached)" : ""}`], ["module", `${answer.size} bytes`]);
  }
  if (facts.length === 0) return null;
  return <dl>{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>;
}
