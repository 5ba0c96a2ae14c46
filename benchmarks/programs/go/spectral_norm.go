// The spectral norm of an endless matrix, from its first n rows and columns.
package main

import "math"

func element(i, j int) float64 { return 1 / float64((i+j)*(i+j+1)/2+i+1) }

func times(v, out []float64) {
	for i := range out {
		sum := 0.0
		for j, each := range v {
			sum += element(i, j) * each
		}
		out[i] = sum
	}
}

func transposedTimes(v, out []float64) {
	for i := range out {
		sum := 0.0
		for j, each := range v {
			sum += element(j, i) * each
		}
		out[i] = sum
	}
}

//export run
func run(n int) float64 {
	u, v, between := make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range u {
		u[i] = 1
	}
	for range 10 {
		times(u, between)
		transposedTimes(between, v)
		times(v, between)
		transposedTimes(between, u)
	}
	both, square := 0.0, 0.0
	for i := range u {
		both += u[i] * v[i]
		square += v[i] * v[i]
	}
	return math.Sqrt(both / square)
}
