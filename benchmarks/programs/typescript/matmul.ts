// The product of two matrices of n * n numbers. Gives the number in its middle.

function matrix(n: i32, seed: f64): Float64Array {
  const made = new Float64Array(n * n), scale: f64 = seed / n / n;
  for (let i: i32 = 0; i < n; i++) {
    for (let j: i32 = 0; j < n; j++) made[i * n + j] = scale * (i - j) * (i + j);
  }
  return made;
}

export function run(n: i32): f64 {
  const a = matrix(n, 1.0), b = matrix(n, 2.0), product = new Float64Array(n * n);
  for (let i: i32 = 0; i < n; i++) {
    for (let k: i32 = 0; k < n; k++) {
      for (let j: i32 = 0; j < n; j++) product[i * n + j] += a[i * n + k] * b[k * n + j];
    }
  }
  const half: i32 = (n / 2) | 0;
  return product[half * n + half];
}
