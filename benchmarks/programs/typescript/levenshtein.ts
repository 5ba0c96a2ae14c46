// How many changes make one text of n letters another. The letters come from a simple generator.

let seed: i32 = 0;

function letters(n: i32): Uint8Array {
  const made = new Uint8Array(n);
  for (let i: i32 = 0; i < n; i++) {
    seed = (seed * 3877 + 29573) % 139968;
    made[i] = 97 + (((seed * 4) / 139968) | 0);
  }
  return made;
}

function least(a: i32, b: i32): i32 {
  return a < b ? a : b;
}

export function run(n: i32): f64 {
  seed = 42;
  const a = letters(n), b = letters(n);
  let before = new Int32Array(n + 1), row = new Int32Array(n + 1);
  for (let j: i32 = 0; j <= n; j++) before[j] = j;
  for (let i: i32 = 1; i <= n; i++) {
    row[0] = i;
    for (let j: i32 = 1; j <= n; j++) {
      const changed: i32 = before[j - 1] + (a[i - 1] != b[j - 1] ? 1 : 0);
      row[j] = least(changed, least(before[j], row[j - 1]) + 1);
    }
    const kept = before;
    before = row;
    row = kept;
  }
  return before[n];
}
