//! How many changes make one text of n letters another. The letters come from a simple generator.
const std = @import("std");
const echelon = @import("echelon");

comptime {
    echelon.exports("run(n: i32) -> f64", run);
}

var seed: u32 = undefined;

fn letters(n: usize) ![]u8 {
    const made = try echelon.arena.alloc(u8, n);
    for (made) |*letter| {
        seed = (seed * 3877 + 29573) % 139968;
        letter.* = @intCast('a' + seed * 4 / 139968);
    }
    return made;
}

fn run(count: i32) !f64 {
    const n: usize = @intCast(count);
    seed = 42;
    const a = try letters(n);
    const b = try letters(n);
    var before = try echelon.arena.alloc(u32, n + 1);
    var row = try echelon.arena.alloc(u32, n + 1);
    for (before, 0..) |*place, j| place.* = @intCast(j);
    for (1..n + 1) |i| {
        row[0] = @intCast(i);
        for (1..n + 1) |j| {
            const changed = before[j - 1] + @intFromBool(a[i - 1] != b[j - 1]);
            row[j] = @min(changed, @min(before[j], row[j - 1]) + 1);
        }
        std.mem.swap([]u32, &before, &row);
    }
    return @floatFromInt(before[n]);
}
