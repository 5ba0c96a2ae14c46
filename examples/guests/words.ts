// Counts the words of the request's body. `handle` is what the host calls: one request in, one response out.

import { http, log } from "echelon";

export function handle(raw: ArrayBuffer): ArrayBuffer {
  return http.serve(raw, answer);
}

function answer(request: http.Request): http.Response {
  if (request.method != "POST") {
    const refusal = http.text("send me some text", 405);
    refusal.headers.set("allow", "POST");
    return refusal;
  }
  const words = request.text().trim().split(" ");
  if (request.query == "sort") words.sort();
  log.info("counted " + words.length.toString() + " words");
  return http.text(words.length.toString() + ": " + words.join(" ") + "\n");
}
