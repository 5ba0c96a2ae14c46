// What is shown where nothing is.

import { Head } from "echelon/view";

export default function Missing({ title, detail }: { status: number; title: string; detail: string }) {
  return (
    <>
      <Head><title>{`${title} · Sandbox notes`}</title></Head>
      <h1>There is no such page</h1>
      {detail && <p>{detail}</p>}
      <p><a href="/">All posts</a></p>
    </>
  );
}
