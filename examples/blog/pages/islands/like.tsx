// A button that counts. Without JavaScript it is a form, whose answer is the page.

import { useState } from "preact/hooks";

export default function Like({ slug, likes: before }: { slug: string; likes: number }) {
  const [likes, setLikes] = useState(before);
  const [said, setSaid] = useState("");
  const address = `/posts/${slug}/like`;

  async function like(event: Event) {
    event.preventDefault();
    try {
      const response = await fetch(address, { method: "POST", headers: { Accept: "application/json" } });
      const answer = await response.json();
      if (!response.ok) throw new Error(answer.detail);
      setLikes(answer.likes);
      setSaid(`Thank you. Liked ${answer.likes} times.`);
    } catch (error) {
      setSaid(`That did not work: ${(error as Error).message}`);
    }
  }

  return (
    <form method="post" action={address} onSubmit={like} class="like">
      <button type="submit"><span aria-hidden="true">♥ </span>Like <span class="count">{likes}</span></button>
      <span role="status" class="facts">{said}</span>
    </form>
  );
}
