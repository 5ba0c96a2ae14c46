// The latest runs of everybody.

import type { Run } from "./types";

interface Props {
  runs: Run[]; more: boolean;
  onOpen: (run: Run) => void; onDelete: (run: Run) => void; onMore: () => void; onDeleteAll: () => void;
}

export function Runs({ runs, more, onOpen, onDelete, onMore, onDeleteAll }: Props) {
  return (
    <section aria-labelledby="latest">
      <div class="bar">
        <h2 id="latest">Latest runs</h2>
        {runs.length > 0 && <button type="button" class="quiet" onClick={onDeleteAll}>Delete all</button>}
      </div>
      <p class="hint">Everybody's, kept in the key-value store: the last 1000, for a week.</p>
      <ol id="runs">
        {runs.map((run) => (
          <li key={run.id} class={`run ${run.ok ? "good" : "bad"}`} data-id={run.id}>
            <details>
              <summary>
                <span class="mark" aria-hidden="true">{run.ok ? "✓" : "✗"}</span>
                <code class="call">{`${run.function}(${run.args})`}</code> <span class="result">{run.result}</span>
              </summary>
              <p class="facts">
                <time dateTime={run.at}>{`${run.at.slice(0, 19).replace("T", " ")} UTC`}</time>
                {` · ${run.language} · ${run.ms.toFixed(3)} ms`}
              </p>
              <pre class="source" tabIndex={0}>{run.source}</pre>
              <button type="button" class="quiet" onClick={() => onOpen(run)}>Open in the editor</button>{" "}
              <button type="button" class="quiet" onClick={() => onDelete(run)}>Delete</button>
            </details>
          </li>
        ))}
      </ol>
      {runs.length === 0 && <p>Nothing was run yet.</p>}
      {more && <button type="button" class="quiet" onClick={onMore}>Older runs</button>}
    </section>
  );
}
