// Reads n records of a text like JSON token by token. Gives how many tokens there are and the sum of the numbers.
package main

import (
	"fmt"
	"strings"
)

func records(n int) string {
	var made strings.Builder
	made.WriteByte('[')
	for i := range n {
		if i > 0 {
			made.WriteByte(',')
		}
		fmt.Fprintf(&made, `{"id": %d, "name": "item \"%d\"", "tags": ["a", "b"], `, i, i%100)
		fmt.Fprintf(&made, `"price": %d.5, "ok": %t, "next": null}`, i%1000, i%2 == 1)
	}
	made.WriteByte(']')
	return made.String()
}

func isDigit(letter byte) bool { return letter >= '0' && letter <= '9' }

func isLetter(letter byte) bool { return letter >= 'a' && letter <= 'z' || letter >= 'A' && letter <= 'Z' }

//export run
func run(n int) float64 {
	text := records(n)
	tokens, sum := 0, 0.0
	for at := 0; at < len(text); {
		if text[at] == ' ' {
			at++
			continue
		}
		tokens++
		switch {
		case text[at] == '"':
			for at++; text[at] != '"'; at++ {
				if text[at] == '\\' {
					at++
				}
			}
			at++
		case isDigit(text[at]):
			number, place := 0.0, 0.1
			for ; isDigit(text[at]); at++ {
				number = number*10 + float64(text[at]-'0')
			}
			if text[at] == '.' {
				for at++; isDigit(text[at]); at++ {
					number += float64(text[at]-'0') * place
					place /= 10
				}
			}
			sum += number
		case isLetter(text[at]):
			for isLetter(text[at]) {
				at++
			}
		default:
			at++
		}
	}
	return float64(tokens) + sum
}
