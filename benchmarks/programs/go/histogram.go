// Counts how often each word stands in a text of n words. Gives the sum of the squares of the counts.
// Words have one to three letters of eight; they come from a simple generator.
package main

import "strings"

var seed = 42

func below(limit int) int {
	seed = (seed*3877 + 29573) % 139968
	return seed * limit / 139968
}

//export run
func run(n int) float64 {
	var text strings.Builder
	for i := range n {
		if i > 0 {
			text.WriteByte(' ')
		}
		for range 1 + below(3) {
			text.WriteByte(byte('a' + below(8)))
		}
	}
	counts := map[string]int{}
	for word := range strings.SplitSeq(text.String(), " ") {
		counts[word]++
	}
	sum := 0
	for _, count := range counts {
		sum += count * count
	}
	return float64(sum)
}
