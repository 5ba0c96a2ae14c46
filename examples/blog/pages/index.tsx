// The list of posts, the newest first.

import { Head } from "echelon/view";
import { Day } from "./parts/day";
import type { Summary } from "./parts/types";

export default function Home({ posts }: { posts: Summary[] }) {
  return (
    <>
      <Head><meta name="description" content="Notes about programs that are kept in their place." /></Head>
      <h1>Posts</h1>
      {posts.map((post) => (
        <article key={post.slug} class="summary">
          <h2><a href={`/posts/${post.slug}`}>{post.title}</a></h2>
          <p class="facts"><Day value={post.day} /></p>
          <p>{post.lead}</p>
        </article>
      ))}
    </>
  );
}
