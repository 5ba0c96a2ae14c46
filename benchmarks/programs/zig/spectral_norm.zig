//! The spectral norm of an endless matrix, from its first n rows and columns.
const echelon = @import("echelon");

comptime {
    echelon.exports("run(n: i32) -> f64", run);
}

fn element(i: usize, j: usize) f64 {
    return 1.0 / @as(f64, @floatFromInt((i + j) * (i + j + 1) / 2 + i + 1));
}

fn times(v: []const f64, out: []f64) void {
    for (out, 0..) |*place, i| {
        var sum: f64 = 0;
        for (v, 0..) |one, j| sum += element(i, j) * one;
        place.* = sum;
    }
}

fn transposedTimes(v: []const f64, out: []f64) void {
    for (out, 0..) |*place, i| {
        var sum: f64 = 0;
        for (v, 0..) |one, j| sum += element(j, i) * one;
        place.* = sum;
    }
}

fn run(count: i32) !f64 {
    const n: usize = @intCast(count);
    const u = try echelon.arena.alloc(f64, n);
    const v = try echelon.arena.alloc(f64, n);
    const between = try echelon.arena.alloc(f64, n);
    @memset(u, 1);
    for (0..10) |_| {
        times(u, between);
        transposedTimes(between, v);
        times(v, between);
        transposedTimes(between, u);
    }
    var both: f64 = 0;
    var square: f64 = 0;
    for (u, v) |a, b| {
        both += a * b;
        square += b * b;
    }
    return @sqrt(both / square);
}
