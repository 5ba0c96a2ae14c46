// How many of n * n points are in the Mandelbrot set after 50 steps.
package main

//export run
func run(n int) float64 {
	inside := 0
	for row := range n {
		ci := 2*float64(row)/float64(n) - 1
		for column := range n {
			cr, zr, zi := 2*float64(column)/float64(n)-1.5, 0.0, 0.0
			step := 0
			for step < 50 && zr*zr+zi*zi <= 4 {
				zr, zi = zr*zr-zi*zi+cr, 2*zr*zi+ci
				step++
			}
			if step == 50 {
				inside++
			}
		}
	}
	return float64(inside)
}
