// The home page: what this is, the playground with the latest runs, and more to try.

import { Head } from "echelon/view";
import "./style.css";
import Playground from "./islands/playground";
import type { Offer, Run } from "./parts/types";

interface Props { offers: Offer[]; runs: Run[]; cursor: string | null; visits: number }

export default function Home({ offers, runs, cursor, visits }: Props) {
  return (
    <>
      <Head lang="en">
        <title>Echelon playground</title>
        <meta name="description" content="Type a program, compile it to WebAssembly and run it in a sandbox." />
      </Head>
      <a class="skip" href="#editor">Skip to the editor</a>
      <header>
        <h1>Echelon <span>playground</span></h1>
        <p>
          Type a program. The server compiles it to WebAssembly and calls the function that you choose, in a fresh
          sandbox with <strong>no permission</strong> but those you switch on: no files, no network, 48&nbsp;MiB of
          memory and half a second. You see its value, what it printed, and what it cost.
        </p>
      </header>
      <main>
        <noscript><p class="notice">The editor needs JavaScript; <code>POST /playground</code> does not.</p></noscript>
        <Playground offers={offers} runs={runs} cursor={cursor} />
        <section aria-labelledby="routes">
          <h2 id="routes">More to try</h2>
          <ul>
            <li><a href="/api/hello/Ada?times=2">/api/hello/Ada?times=2</a>: a typed path and query</li>
            <li>
              <a href="/api/slug?title=Hello%2C+World">/api/slug?title=Hello, World</a>: a TypeScript guest called from Python
            </li>
            <li>
              <a href="/api/visits">/api/visits</a>: a counter in the key-value store; this page was opened {visits} times
            </li>
            <li><a href="/api/runs?limit=5">/api/runs?limit=5</a>: the list above, in pages</li>
            <li><a href="/api/languages">/api/languages</a>: what can be compiled here, and what is missing for the rest</li>
            <li>
              <a href="/_echelon/health">/_echelon/health</a>, <a href="/_echelon/ready">ready</a>,{" "}
              <a href="/_echelon/metrics">metrics</a>
            </li>
          </ul>
          <p class="hint">
            Operators compile, store and call modules with permissions of their choice through{" "}
            <code>/_echelon/v1</code>, with the token that the server printed when it started.
          </p>
        </section>
      </main>
    </>
  );
}
