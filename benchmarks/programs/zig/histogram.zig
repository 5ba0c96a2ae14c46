//! Counts how often each word stands in a text of n words. Gives the sum of the squares of the counts.
//! Words have one to three letters of eight; they come from a simple generator.
const std = @import("std");
const echelon = @import("echelon");

comptime {
    echelon.exports("run(n: i32) -> f64", run);
}

var seed: u64 = 42;

fn below(limit: u64) u64 {
    seed = (seed * 3877 + 29573) % 139968;
    return seed * limit / 139968;
}

fn run(n: i32) !f64 {
    var text: std.ArrayList(u8) = .empty;
    for (0..@intCast(n)) |i| {
        if (i > 0) try text.append(echelon.arena, ' ');
        for (0..@intCast(1 + below(3))) |_| try text.append(echelon.arena, @intCast('a' + below(8)));
    }
    var counts: std.StringHashMapUnmanaged(u64) = .empty;
    var words = std.mem.splitScalar(u8, text.items, ' ');
    while (words.next()) |word| {
        const found = try counts.getOrPutValue(echelon.arena, word, 0);
        found.value_ptr.* += 1;
    }
    var sum: u64 = 0;
    var values = counts.valueIterator();
    while (values.next()) |count| sum += count.* * count.*;
    return @floatFromInt(sum);
}
