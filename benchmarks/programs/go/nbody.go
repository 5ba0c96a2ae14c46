// The planets' orbits: n steps of the benchmarks game's simulation. Gives the energy after them.
package main

import "math"

const (
	solarMass = 4 * math.Pi * math.Pi
	days      = 365.24
)

type body struct{ x, y, z, vx, vy, vz, mass float64 }

var bodies = [...]body{
	{0, 0, 0,
		0, 0, 0, solarMass},
	{4.84143144246472090e+00, -1.16032004402742839e+00, -1.03622044471123109e-01,
		1.66007664274403694e-03 * days, 7.69901118419740425e-03 * days,
		-6.90460016972063023e-05 * days, 9.54791938424326609e-04 * solarMass},
	{8.34336671824457987e+00, 4.12479856412430479e+00, -4.03523417114321381e-01,
		-2.76742510726411173e-03 * days, 4.99852801234917238e-03 * days,
		2.30417297573763929e-05 * days, 2.85885980666130812e-04 * solarMass},
	{1.28943695621391310e+01, -1.51111514016986312e+01, -2.23307578892655734e-01,
		2.96460137564761618e-03 * days, 2.37847173959480950e-03 * days,
		-2.96589568540237556e-05 * days, 4.36624404335156298e-05 * solarMass},
	{1.53796971148509165e+01, -2.59193146099879641e+01, 1.79258772950371181e-01,
		2.68067772490389322e-03 * days, 1.62824170038242295e-03 * days,
		-9.51592254519715870e-05 * days, 5.15138902046611451e-05 * solarMass},
}

func offset() {
	var px, py, pz float64
	for _, each := range bodies {
		px += each.vx * each.mass
		py += each.vy * each.mass
		pz += each.vz * each.mass
	}
	bodies[0].vx, bodies[0].vy, bodies[0].vz = -px/solarMass, -py/solarMass, -pz/solarMass
}

func advance(dt float64) {
	for i := range bodies {
		a := &bodies[i]
		for j := i + 1; j < len(bodies); j++ {
			b := &bodies[j]
			dx, dy, dz := a.x-b.x, a.y-b.y, a.z-b.z
			squared := dx*dx + dy*dy + dz*dz
			magnitude := dt / (squared * math.Sqrt(squared))
			a.vx -= dx * b.mass * magnitude
			a.vy -= dy * b.mass * magnitude
			a.vz -= dz * b.mass * magnitude
			b.vx += dx * a.mass * magnitude
			b.vy += dy * a.mass * magnitude
			b.vz += dz * a.mass * magnitude
		}
	}
	for i := range bodies {
		each := &bodies[i]
		each.x += dt * each.vx
		each.y += dt * each.vy
		each.z += dt * each.vz
	}
}

func energy() float64 {
	found := 0.0
	for i, a := range bodies {
		found += 0.5 * a.mass * (a.vx*a.vx + a.vy*a.vy + a.vz*a.vz)
		for _, b := range bodies[i+1:] {
			dx, dy, dz := a.x-b.x, a.y-b.y, a.z-b.z
			found -= a.mass * b.mass / math.Sqrt(dx*dx+dy*dy+dz*dz)
		}
	}
	return found
}

//export run
func run(n int) float64 {
	offset()
	for range n {
		advance(0.01)
	}
	return energy()
}
