// The spectral norm of an endless matrix, from its first n rows and columns.

function element(i: i32, j: i32): f64 {
  return 1.0 / (((i + j) * (i + j + 1)) / 2 + i + 1);
}

function times(v: Float64Array, out: Float64Array, n: i32): void {
  for (let i: i32 = 0; i < n; i++) {
    let sum: f64 = 0;
    for (let j: i32 = 0; j < n; j++) sum += element(i, j) * v[j];
    out[i] = sum;
  }
}

function transposedTimes(v: Float64Array, out: Float64Array, n: i32): void {
  for (let i: i32 = 0; i < n; i++) {
    let sum: f64 = 0;
    for (let j: i32 = 0; j < n; j++) sum += element(j, i) * v[j];
    out[i] = sum;
  }
}

export function run(n: i32): f64 {
  const u = new Float64Array(n), v = new Float64Array(n), between = new Float64Array(n);
  u.fill(1);
  for (let i: i32 = 0; i < 10; i++) {
    times(u, between, n);
    transposedTimes(between, v, n);
    times(v, between, n);
    transposedTimes(between, u, n);
  }
  let both: f64 = 0, square: f64 = 0;
  for (let i: i32 = 0; i < n; i++) {
    both += u[i] * v[i];
    square += v[i] * v[i];
  }
  return Math.sqrt(both / square);
}
