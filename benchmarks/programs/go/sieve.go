// How many primes there are below n.
package main

//export run
func run(n int) float64 {
	composite := make([]bool, n)
	found := 0
	for i := 2; i < n; i++ {
		if composite[i] {
			continue
		}
		found++
		for j := i; j < n; j += i {
			composite[j] = true
		}
	}
	return float64(found)
}
