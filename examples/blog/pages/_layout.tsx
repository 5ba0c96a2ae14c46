// What is around every page: the name of the blog, ways through it, and its style.

import type { ComponentChildren } from "preact";
import { Head, useRoute } from "echelon/view";
import "./style.css";

export default function Layout({ children }: { children: ComponentChildren }) {
  const { path } = useRoute();
  const here = (address: string) => (path === address ? "page" : undefined);
  return (
    <>
      <Head lang="en">
        <title>Sandbox notes</title>
        <link rel="icon" href="data:," />
        <meta name="color-scheme" content="light dark" />
      </Head>
      <a class="skip" href="#content">Skip to the content</a>
      <header>
        <p class="name"><a href="/">Sandbox notes</a></p>
        <nav aria-label="Pages">
          <a href="/" aria-current={here("/")}>Posts</a> <a href="/about" aria-current={here("/about")}>About</a>
        </nav>
      </header>
      <main id="content" tabIndex={-1}>{children}</main>
      <footer><p>Rendered in a sandbox, by <a href="/about">Echelon</a>.</p></footer>
    </>
  );
}
