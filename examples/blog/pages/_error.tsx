// What is shown when something went wrong, such as a form that was not filled in.

import { Head } from "echelon/view";

export default function Failed({ status, title, detail }: { status: number; title: string; detail: string }) {
  return (
    <>
      <Head><title>{`${title} · Sandbox notes`}</title></Head>
      <h1>{title}</h1>
      <p>{detail || `The answer has the status ${status}.`}</p>
      <p><a href="/">All posts</a></p>
    </>
  );
}
