// In how many ways n queens can stand on n * n fields without threatening each other.

const columns = new Uint8Array(32), rising = new Uint8Array(64), falling = new Uint8Array(64);

function mark(row: i32, column: i32, n: i32, on: u8): void {
  columns[column] = on;
  rising[row + column] = on;
  falling[row - column + n] = on;
}

function place(row: i32, n: i32): i32 {
  if (row == n) return 1;
  let ways: i32 = 0;
  for (let column: i32 = 0; column < n; column++) {
    if (columns[column] != 0 || rising[row + column] != 0 || falling[row - column + n] != 0) continue;
    mark(row, column, n, 1);
    ways += place(row + 1, n);
    mark(row, column, n, 0);
  }
  return ways;
}

export function run(n: i32): f64 {
  return place(0, n);
}
