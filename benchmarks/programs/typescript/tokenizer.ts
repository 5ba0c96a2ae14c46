// Reads n records of a text like JSON token by token. Gives how many tokens there are and the sum of the numbers.

function records(n: i32): string {
  const made: string[] = [];
  for (let i: i32 = 0; i < n; i++) {
    const head = '{"id": ' + i.toString() + ', "name": "item \\"' + (i % 100).toString() + '\\"", "tags": ["a", "b"], ';
    made.push(head + '"price": ' + (i % 1000).toString() + '.5, "ok": ' + (i % 2 ? "true" : "false") + ', "next": null}');
  }
  return "[" + made.join(",") + "]";
}

function isDigit(code: i32): boolean {
  return code >= 48 && code <= 57;
}

function isLetter(code: i32): boolean {
  return (code >= 97 && code <= 122) || (code >= 65 && code <= 90);
}

function codeAt(text: string, at: i32): i32 {
  return at < text.length ? text.charCodeAt(at) : 0;
}

export function run(n: i32): f64 {
  const text = records(n);
  let tokens: i32 = 0, sum: f64 = 0, at: i32 = 0;
  while (at < text.length) {
    const code: i32 = text.charCodeAt(at);
    if (code == 32) {
      at++;
      continue;
    }
    tokens++;
    if (code == 34) {
      for (at++; codeAt(text, at) != 34; at++) if (codeAt(text, at) == 92) at++;
      at++;
    } else if (isDigit(code)) {
      let number: f64 = 0, place: f64 = 0.1;
      for (; isDigit(codeAt(text, at)); at++) number = number * 10 + (text.charCodeAt(at) - 48);
      if (codeAt(text, at) == 46) {
        for (at++; isDigit(codeAt(text, at)); at++, place /= 10) number += (text.charCodeAt(at) - 48) * place;
      }
      sum += number;
    } else if (isLetter(code)) {
      while (isLetter(codeAt(text, at))) at++;
    } else {
      at++;
    }
  }
  return tokens + sum;
}
