// In how many ways n queens can stand on n * n fields without threatening each other.
package main

var (
	columns         [32]bool
	rising, falling [64]bool
)

func mark(row, column, n int, on bool) {
	columns[column], rising[row+column], falling[row-column+n] = on, on, on
}

func place(row, n int) int {
	if row == n {
		return 1
	}
	ways := 0
	for column := range n {
		if columns[column] || rising[row+column] || falling[row-column+n] {
			continue
		}
		mark(row, column, n, true)
		ways += place(row+1, n)
		mark(row, column, n, false)
	}
	return ways
}

//export run
func run(n int) float64 { return float64(place(0, n)) }
