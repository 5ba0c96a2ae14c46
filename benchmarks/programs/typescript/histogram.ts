// Counts how often each word stands in a text of n words. Gives the sum of the squares of the counts.
// Words have one to three letters of eight; they come from a simple generator.

let seed: i32 = 42;

function below(limit: i32): i32 {
  seed = (seed * 3877 + 29573) % 139968;
  return ((seed * limit) / 139968) | 0;
}

export function run(n: i32): f64 {
  const words: string[] = [];
  for (let i: i32 = 0; i < n; i++) {
    let word: string = "";
    for (let letters: i32 = 1 + below(3); letters > 0; letters--) word += String.fromCharCode(97 + below(8));
    words.push(word);
  }
  const read: string[] = words.join(" ").split(" ");
  const places = new Map<string, i32>(), counts: i32[] = [];
  for (let i: i32 = 0; i < read.length; i++) {
    if (places.has(read[i])) {
      counts[places.get(read[i])!]++;
    } else {
      places.set(read[i], counts.length);
      counts.push(1);
    }
  }
  let sum: f64 = 0;
  for (let i: i32 = 0; i < counts.length; i++) sum += counts[i] * counts[i];
  return sum;
}
