// The form for a comment. Without JavaScript it is sent as forms are; with it the new list comes as a part of the page.

import { useState } from "preact/hooks";

export default function CommentForm({ slug }: { slug: string }) {
  const [busy, setBusy] = useState(false);
  const [said, setSaid] = useState({ text: "", bad: false });
  const address = `/posts/${slug}/comments`;

  async function send(event: SubmitEvent) {
    event.preventDefault();
    if (busy) return;
    const form = event.currentTarget as HTMLFormElement;
    setBusy(true);
    try {
      const headers = { Accept: "application/json", "Echelon-Fragment": "Comments" }; // which the way back keeps
      const body = new URLSearchParams(new FormData(form) as unknown as Record<string, string>);
      const response = await fetch(address, { method: "POST", headers, body });
      if (!response.ok) throw new Error((await response.json()).detail);
      document.getElementById("comment-list")!.innerHTML = await response.text(); // the server's page, its texts escaped
      form.reset();
      setSaid({ text: "Your comment is in the list.", bad: false });
    } catch (error) {
      setSaid({ text: `Your comment was not taken: ${(error as Error).message}`, bad: true });
    } finally {
      setBusy(false);
    }
  }

  return (
    <form method="post" action={address} onSubmit={send} aria-labelledby="say">
      <h3 id="say">Say something</h3>
      <label for="name">Your name</label>
      <input id="name" name="name" required maxLength={40} autocomplete="name" />
      <label for="text">Your comment</label>
      <textarea id="text" name="text" required maxLength={2000} rows={5} aria-describedby="marks" />
      <p id="marks" class="facts">
        <code>**strong**</code>, <code>*em*</code>, <code>`code`</code>, <code>[a link](https://…)</code>; an empty line
        begins a paragraph.
      </p>
      <button type="submit" aria-disabled={busy}>Send</button>
      <p role="status" class={said.bad ? "failure" : "facts"}>{said.text}</p>
    </form>
  );
}
