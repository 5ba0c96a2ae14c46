// About this blog. It has no island, so it sends no JavaScript.

import { Head } from "echelon/view";

export default function About() {
  return (
    <>
      <Head><title>About · Sandbox notes</title></Head>
      <h1>About</h1>
      <p>
        The pages are components, rendered on the server in a fresh sandbox for each request. Posts, comments and likes
        are in the key-value store. What people write is taken apart by a guest without any permission, which returns
        data; the page makes elements of it, so no text of a stranger is ever HTML.
      </p>
      <p>Comments and likes are forms: they work without JavaScript, and with it they stay on the page.</p>
    </>
  );
}
