//! Fannkuch: how often the front of a permutation of n numbers can be turned around. Gives 1000 * checksum + the most.
const std = @import("std");
const echelon = @import("echelon");

comptime {
    echelon.exports("run(n: i32) -> f64", run);
}

const most_numbers = 16;

fn run(numbers: i32) f64 {
    const n: usize = @intCast(numbers);
    var permutation: [most_numbers]usize = undefined;
    var turned: [most_numbers]usize = undefined;
    var count: [most_numbers]usize = undefined;
    var most: i32 = 0;
    var checksum: i32 = 0;
    var left = n;
    var number: usize = 0;
    for (permutation[0..n], 0..) |*place, i| place.* = i;
    while (true) : (number += 1) {
        while (left != 1) : (left -= 1) count[left - 1] = left;
        @memcpy(turned[0..n], permutation[0..n]);
        var flips: i32 = 0;
        while (turned[0] != 0) : (flips += 1) std.mem.reverse(usize, turned[0 .. turned[0] + 1]);
        most = @max(most, flips);
        checksum += if (number % 2 == 1) -flips else flips;
        while (true) : (left += 1) {
            if (left == n) return 1000.0 * @as(f64, @floatFromInt(checksum)) + @as(f64, @floatFromInt(most));
            const first = permutation[0];
            for (0..left) |i| permutation[i] = permutation[i + 1];
            permutation[left] = first;
            count[left] -= 1;
            if (count[left] > 0) break;
        }
    }
}
