// Fannkuch: how often the front of a permutation of n numbers can be turned around. Gives 1000 * checksum + the most.
package main

//export run
func run(n int32) float64 {
	permutation, turned, count := make([]int32, n), make([]int32, n), make([]int32, n)
	most, checksum, left := int32(0), int32(0), n
	for i := range permutation {
		permutation[i] = int32(i)
	}
	for number := 0; ; number++ {
		for ; left != 1; left-- {
			count[left-1] = left
		}
		copy(turned, permutation)
		flips := int32(0)
		for first := turned[0]; first != 0; first = turned[0] {
			for i, j := int32(0), first; i < j; i, j = i+1, j-1 {
				turned[i], turned[j] = turned[j], turned[i]
			}
			flips++
		}
		most = max(most, flips)
		if number%2 == 0 {
			checksum += flips
		} else {
			checksum -= flips
		}
		for ; ; left++ {
			if left == n {
				return 1000*float64(checksum) + float64(most)
			}
			first := permutation[0]
			copy(permutation[:left], permutation[1:left+1])
			permutation[left] = first
			count[left]--
			if count[left] > 0 {
				break
			}
		}
	}
}
