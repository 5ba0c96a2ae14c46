//! The planets' orbits: n steps of the benchmarks game's simulation. Gives the energy after them.
const echelon = @import("echelon");

comptime {
    echelon.exports("run(n: i32) -> f64", run);
}

const pi = 3.141592653589793;
const solar_mass = 4.0 * pi * pi;
const days = 365.24;

const Body = struct { x: f64, y: f64, z: f64, vx: f64, vy: f64, vz: f64, mass: f64 };

fn body(place: [3]f64, speed: [3]f64, mass: f64) Body {
    return .{
        .x = place[0],
        .y = place[1],
        .z = place[2],
        .vx = speed[0] * days,
        .vy = speed[1] * days,
        .vz = speed[2] * days,
        .mass = mass * solar_mass,
    };
}

var bodies: [5]Body = undefined;

fn start() void {
    bodies = .{
        body(.{ 0, 0, 0 }, .{ 0, 0, 0 }, 1),
        body(
            .{ 4.84143144246472090e+00, -1.16032004402742839e+00, -1.03622044471123109e-01 },
            .{ 1.66007664274403694e-03, 7.69901118419740425e-03, -6.90460016972063023e-05 },
            9.54791938424326609e-04,
        ),
        body(
            .{ 8.34336671824457987e+00, 4.12479856412430479e+00, -4.03523417114321381e-01 },
            .{ -2.76742510726411173e-03, 4.99852801234917238e-03, 2.30417297573763929e-05 },
            2.85885980666130812e-04,
        ),
        body(
            .{ 1.28943695621391310e+01, -1.51111514016986312e+01, -2.23307578892655734e-01 },
            .{ 2.96460137564761618e-03, 2.37847173959480950e-03, -2.96589568540237556e-05 },
            4.36624404335156298e-05,
        ),
        body(
            .{ 1.53796971148509165e+01, -2.59193146099879641e+01, 1.79258772950371181e-01 },
            .{ 2.68067772490389322e-03, 1.62824170038242295e-03, -9.51592254519715870e-05 },
            5.15138902046611451e-05,
        ),
    };
    var px: f64 = 0;
    var py: f64 = 0;
    var pz: f64 = 0;
    for (bodies) |one| {
        px += one.vx * one.mass;
        py += one.vy * one.mass;
        pz += one.vz * one.mass;
    }
    bodies[0].vx = -px / solar_mass;
    bodies[0].vy = -py / solar_mass;
    bodies[0].vz = -pz / solar_mass;
}

fn advance(dt: f64) void {
    for (&bodies, 0..) |*a, i| {
        for (bodies[i + 1 ..]) |*b| {
            const dx = a.x - b.x;
            const dy = a.y - b.y;
            const dz = a.z - b.z;
            const squared = dx * dx + dy * dy + dz * dz;
            const magnitude = dt / (squared * @sqrt(squared));
            a.vx -= dx * b.mass * magnitude;
            a.vy -= dy * b.mass * magnitude;
            a.vz -= dz * b.mass * magnitude;
            b.vx += dx * a.mass * magnitude;
            b.vy += dy * a.mass * magnitude;
            b.vz += dz * a.mass * magnitude;
        }
    }
    for (&bodies) |*one| {
        one.x += dt * one.vx;
        one.y += dt * one.vy;
        one.z += dt * one.vz;
    }
}

fn energy() f64 {
    var found: f64 = 0;
    for (bodies, 0..) |a, i| {
        found += 0.5 * a.mass * (a.vx * a.vx + a.vy * a.vy + a.vz * a.vz);
        for (bodies[i + 1 ..]) |b| {
            const dx = a.x - b.x;
            const dy = a.y - b.y;
            const dz = a.z - b.z;
            found -= a.mass * b.mass / @sqrt(dx * dx + dy * dy + dz * dz);
        }
    }
    return found;
}

fn run(n: i32) f64 {
    start();
    for (0..@intCast(n)) |_| advance(0.01);
    return energy();
}
