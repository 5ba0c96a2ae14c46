//! The product of two matrices of n * n numbers. Gives the number in its middle.
const echelon = @import("echelon");

comptime {
    echelon.exports("run(n: i32) -> f64", run);
}

fn matrix(n: i32, seed: f64) ![]f64 {
    const rows: usize = @intCast(n);
    const made = try echelon.arena.alloc(f64, rows * rows);
    const scale = seed / @as(f64, @floatFromInt(n)) / @as(f64, @floatFromInt(n));
    for (0..rows) |i| {
        for (0..rows) |j| {
            const row: f64 = @floatFromInt(i);
            const column: f64 = @floatFromInt(j);
            made[i * rows + j] = scale * (row - column) * (row + column);
        }
    }
    return made;
}

fn run(numbers: i32) !f64 {
    const n: usize = @intCast(numbers);
    const a = try matrix(numbers, 1.0);
    const b = try matrix(numbers, 2.0);
    const product = try echelon.arena.alloc(f64, n * n);
    @memset(product, 0);
    for (0..n) |i| {
        for (0..n) |k| {
            const factor = a[i * n + k];
            for (product[i * n ..][0..n], b[k * n ..][0..n]) |*sum, other| sum.* += factor * other;
        }
    }
    return product[n / 2 * n + n / 2];
}
