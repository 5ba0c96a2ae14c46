//! In how many ways n queens can stand on n * n fields without threatening each other.
const echelon = @import("echelon");

comptime {
    echelon.exports("run(n: i32) -> f64", run);
}

const most = 32;

var columns: [most]bool = @splat(false);
var rising: [2 * most]bool = @splat(false);
var falling: [2 * most]bool = @splat(false);

fn place(row: usize, n: usize) u32 {
    if (row == n) return 1;
    var ways: u32 = 0;
    for (0..n) |column| {
        const up = row + column;
        const down = row + n - column;
        if (columns[column] or rising[up] or falling[down]) continue;
        set(column, up, down, true);
        ways += place(row + 1, n);
        set(column, up, down, false);
    }
    return ways;
}

fn set(column: usize, up: usize, down: usize, taken: bool) void {
    columns[column] = taken;
    rising[up] = taken;
    falling[down] = taken;
}

fn run(n: i32) f64 {
    return @floatFromInt(place(0, @intCast(n)));
}
