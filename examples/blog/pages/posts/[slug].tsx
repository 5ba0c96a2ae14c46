// A post with its likes and comments. A script that sent a comment asks for `Comments` alone.

import { Head } from "echelon/view";
import CommentForm from "../islands/comment-form";
import Like from "../islands/like";
import { Blocks } from "../parts/blocks";
import { Day } from "../parts/day";
import type { Block, Comment, Summary } from "../parts/types";

interface Props { post: Summary; body: Block[]; comments: [Comment, Block[]][]; likes: number }

export default function Page(props: Props) {
  const { post, body, likes } = props;
  return (
    <>
      <Head>
        <title>{`${post.title} · Sandbox notes`}</title>
        <meta name="description" content={post.lead} />
      </Head>
      <article>
        <h1>{post.title}</h1>
        <p class="facts"><Day value={post.day} /></p>
        <p class="lead">{post.lead}</p>
        <Blocks blocks={body} />
      </article>
      <div id="likes"><Like slug={post.slug} likes={likes} /></div>
      <section id="comments" aria-labelledby="comments-title">
        <h2 id="comments-title">Comments</h2>
        <div id="comment-list"><Comments {...props} /></div>
        <CommentForm slug={post.slug} hydrate="visible" />
      </section>
    </>
  );
}

export function Comments({ comments }: Props) {
  if (comments.length === 0) return <p class="facts">Nobody has said anything yet.</p>;
  return (
    <ol class="comments">
      {comments.map(([comment, blocks], index) => (
        <li key={index}>
          <p class="facts"><strong>{comment.name}</strong>, <Day value={comment.at} /></p>
          <Blocks blocks={blocks} level={4} />
        </li>
      ))}
    </ol>
  );
}
