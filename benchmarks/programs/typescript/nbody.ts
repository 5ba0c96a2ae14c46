// The planets' orbits: n steps of the benchmarks game's simulation. Gives the energy after them.

const SOLAR_MASS: f64 = 4 * Math.PI * Math.PI, DAYS: f64 = 365.24;

class Body {
  constructor(
    public x: f64, public y: f64, public z: f64, public vx: f64, public vy: f64, public vz: f64, public mass: f64,
  ) {}
}

const bodies: Body[] = [
  new Body(0, 0, 0,
    0, 0, 0, SOLAR_MASS),
  new Body(4.84143144246472090e+00, -1.16032004402742839e+00, -1.03622044471123109e-01,
    1.66007664274403694e-03 * DAYS, 7.69901118419740425e-03 * DAYS,
    -6.90460016972063023e-05 * DAYS, 9.54791938424326609e-04 * SOLAR_MASS),
  new Body(8.34336671824457987e+00, 4.12479856412430479e+00, -4.03523417114321381e-01,
    -2.76742510726411173e-03 * DAYS, 4.99852801234917238e-03 * DAYS,
    2.30417297573763929e-05 * DAYS, 2.85885980666130812e-04 * SOLAR_MASS),
  new Body(1.28943695621391310e+01, -1.51111514016986312e+01, -2.23307578892655734e-01,
    2.96460137564761618e-03 * DAYS, 2.37847173959480950e-03 * DAYS,
    -2.96589568540237556e-05 * DAYS, 4.36624404335156298e-05 * SOLAR_MASS),
  new Body(1.53796971148509165e+01, -2.59193146099879641e+01, 1.79258772950371181e-01,
    2.68067772490389322e-03 * DAYS, 1.62824170038242295e-03 * DAYS,
    -9.51592254519715870e-05 * DAYS, 5.15138902046611451e-05 * SOLAR_MASS),
];

function offset(): void {
  let px: f64 = 0, py: f64 = 0, pz: f64 = 0;
  for (let i: i32 = 0; i < bodies.length; i++) {
    px += bodies[i].vx * bodies[i].mass;
    py += bodies[i].vy * bodies[i].mass;
    pz += bodies[i].vz * bodies[i].mass;
  }
  bodies[0].vx = -px / SOLAR_MASS;
  bodies[0].vy = -py / SOLAR_MASS;
  bodies[0].vz = -pz / SOLAR_MASS;
}

function advance(dt: f64): void {
  for (let i: i32 = 0; i < bodies.length; i++) {
    const a = bodies[i];
    for (let j: i32 = i + 1; j < bodies.length; j++) {
      const b = bodies[j];
      const dx = a.x - b.x, dy = a.y - b.y, dz = a.z - b.z;
      const squared = dx * dx + dy * dy + dz * dz;
      const magnitude = dt / (squared * Math.sqrt(squared));
      a.vx -= dx * b.mass * magnitude;
      a.vy -= dy * b.mass * magnitude;
      a.vz -= dz * b.mass * magnitude;
      b.vx += dx * a.mass * magnitude;
      b.vy += dy * a.mass * magnitude;
      b.vz += dz * a.mass * magnitude;
    }
  }
  for (let i: i32 = 0; i < bodies.length; i++) {
    const body = bodies[i];
    body.x += dt * body.vx;
    body.y += dt * body.vy;
    body.z += dt * body.vz;
  }
}

function energy(): f64 {
  let found: f64 = 0;
  for (let i: i32 = 0; i < bodies.length; i++) {
    const a = bodies[i];
    found += 0.5 * a.mass * (a.vx * a.vx + a.vy * a.vy + a.vz * a.vz);
    for (let j: i32 = i + 1; j < bodies.length; j++) {
      const b = bodies[j];
      const dx = a.x - b.x, dy = a.y - b.y, dz = a.z - b.z;
      found -= (a.mass * b.mass) / Math.sqrt(dx * dx + dy * dy + dz * dz);
    }
  }
  return found;
}

export function run(n: i32): f64 {
  offset();
  for (let i: i32 = 0; i < n; i++) advance(0.01);
  return energy();
}
