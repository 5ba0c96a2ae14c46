package main

import (
	"slices"

	"echelon"
)

//export anagrams
func anagrams(words []string) map[string][]string {
	groups := map[string][]string{}
	for _, word := range words {
		letters := []rune(word)
		slices.Sort(letters)
		groups[string(letters)] = append(groups[string(letters)], word)
	}
	for letters, group := range groups {
		if len(group) == 1 {
			delete(groups, letters)
		}
	}
	if len(groups) == 0 {
		echelon.Warning("no word has an anagram here")
	}
	return groups
}
