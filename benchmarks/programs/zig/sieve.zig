//! How many primes there are below n.
const echelon = @import("echelon");

comptime {
    echelon.exports("run(n: i32) -> f64", run);
}

fn run(count: i32) !f64 {
    const n: usize = @intCast(count);
    const composite = try echelon.arena.alloc(bool, n);
    @memset(composite, false);
    var found: u32 = 0;
    for (2..n) |i| {
        if (composite[i]) continue;
        found += 1;
        var j = i;
        while (j < n) : (j += i) composite[j] = true;
    }
    return @floatFromInt(found);
}
