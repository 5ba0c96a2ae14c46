// The product of two matrices of n * n numbers. Gives the number in its middle.
package main

func matrix(n int, seed float64) []float64 {
	made, scale := make([]float64, n*n), seed/float64(n)/float64(n)
	for i := range n {
		for j := range n {
			made[i*n+j] = scale * float64(i-j) * float64(i+j)
		}
	}
	return made
}

//export run
func run(n int) float64 {
	a, b, product := matrix(n, 1), matrix(n, 2), make([]float64, n*n)
	for i := range n {
		for k := range n {
			for j := range n {
				product[i*n+j] += a[i*n+k] * b[k*n+j]
			}
		}
	}
	return product[n/2*n+n/2]
}
