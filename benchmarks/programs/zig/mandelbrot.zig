//! How many of n * n points are in the Mandelbrot set after 50 steps.
const echelon = @import("echelon");

comptime {
    echelon.exports("run(n: i32) -> f64", run);
}

fn run(numbers: i32) f64 {
    const n: f64 = @floatFromInt(numbers);
    var inside: i32 = 0;
    for (0..@intCast(numbers)) |row| {
        const ci = 2.0 * @as(f64, @floatFromInt(row)) / n - 1.0;
        for (0..@intCast(numbers)) |column| {
            const cr = 2.0 * @as(f64, @floatFromInt(column)) / n - 1.5;
            var zr: f64 = 0;
            var zi: f64 = 0;
            var step: i32 = 0;
            while (step < 50 and zr * zr + zi * zi <= 4) : (step += 1) {
                const next = zr * zr - zi * zi + cr;
                zi = 2 * zr * zi + ci;
                zr = next;
            }
            inside += @intFromBool(step == 50);
        }
    }
    return @floatFromInt(inside);
}
