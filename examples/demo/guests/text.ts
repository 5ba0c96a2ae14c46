// A guest of the demo: compiled when the application starts, called by GET /api/slug.

/** Whether this is a letter from a to z or a digit. */
function isPlain(code: i32): bool {
  return (code >= 97 && code <= 122) || (code >= 48 && code <= 57);
}

/** Return a text as the end of a URL: lower case, words joined by dashes. */
export function slug(text: string): string {
  let result = "";
  let gap = false;
  for (let i = 0; i < text.length; i++) {
    let code = text.charCodeAt(i);
    if (code >= 65 && code <= 90) code += 32;
    if (isPlain(code)) {
      if (gap && result.length > 0) result += "-";
      result += String.fromCharCode(code);
      gap = false;
    } else {
      gap = true;
    }
  }
  return result;
}

/** Return the number of words in a text. */
export function words(text: string): i32 {
  let count = 0;
  let inside = false;
  for (let i = 0; i < text.length; i++) {
    const space = text.charCodeAt(i) <= 32;
    if (!space && !inside) count++;
    inside = !space;
  }
  return count;
}
