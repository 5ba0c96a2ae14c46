// How many changes make one text of n letters another. The letters come from a simple generator.
package main

var seed int

func letters(n int) []byte {
	made := make([]byte, n)
	for i := range made {
		seed = (seed*3877 + 29573) % 139968
		made[i] = byte('a' + seed*4/139968)
	}
	return made
}

//export run
func run(n int) float64 {
	seed = 42
	a, b := letters(n), letters(n)
	before, row := make([]int32, n+1), make([]int32, n+1)
	for j := range before {
		before[j] = int32(j)
	}
	for i := 1; i <= n; i++ {
		row[0] = int32(i)
		for j := 1; j <= n; j++ {
			changed := before[j-1]
			if a[i-1] != b[j-1] {
				changed++
			}
			row[j] = min(changed, min(before[j], row[j-1])+1)
		}
		before, row = row, before
	}
	return float64(before[n])
}
