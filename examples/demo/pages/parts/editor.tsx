// The source, with numbered lines of which those with a diagnostic are marked.

import { useLayoutEffect, useRef } from "preact/hooks";
import type { Diagnostic } from "./types";

interface Props {
  source: string; diagnostics: Diagnostic[]; goTo: { line: number; column: number } | null;
  onSource: (text: string) => void;
}

export function Editor({ source, diagnostics, goTo, onSource }: Props) {
  const field = useRef<HTMLTextAreaElement>(null), gutter = useRef<HTMLPreElement>(null);
  const bad = new Set(diagnostics.map((item) => item.line));
  useLayoutEffect(() => {
    if (!goTo || !field.current) return;
    const before = source.split("\n").slice(0, goTo.line - 1);
    const place = before.reduce((sum, text) => sum + text.length + 1, 0) + Math.max(0, goTo.column - 1);
    field.current.focus();
    field.current.setSelectionRange(place, place + 1);
  }, [goTo]);
  return (
    <>
      <label for="editor">Source</label>
      <div class="editor">
        <pre ref={gutter} class="lines" aria-hidden="true">
          {source.split("\n").map((_, index) => (
            <span key={index} class={bad.has(index + 1) ? "bad" : undefined}>{index + 1}</span>
          ))}
        </pre>
        <textarea
          ref={field} id="editor" rows={14} spellcheck={false} autocapitalize="off" wrap="off" maxLength={32768}
          aria-describedby="hint" value={source}
          onInput={(event) => onSource(event.currentTarget.value)}
          onScroll={(event) => { if (gutter.current) gutter.current.scrollTop = event.currentTarget.scrollTop; }}
        />
      </div>
    </>
  );
}
