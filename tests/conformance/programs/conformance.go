// The conformance program in Go; what it has to answer stands in test_conformance.py.
package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"echelon"
	"echelon/kv"
)

//export echo_i8
func echoI8(n int8) int8 { return n }

//export echo_u8
func echoU8(n uint8) uint8 { return n }

//export echo_i16
func echoI16(n int16) int16 { return n }

//export echo_u16
func echoU16(n uint16) uint16 { return n }

//export echo_i32
func echoI32(n int32) int32 { return n }

//export echo_u32
func echoU32(n uint32) uint32 { return n }

//export echo_i64
func echoI64(n int64) int64 { return n }

//export echo_u64
func echoU64(n uint64) uint64 { return n }

//export echo_f32
func echoF32(n float32) float32 { return n }

//export echo_f64
func echoF64(n float64) float64 { return n }

//export negate
func negate(on bool) bool { return !on }

//export divide
func divide(a, b int32) int32 { return a / b }

//export greet
func greet(who string) string { return "Hello, " + who + "!" }

//export characters
func characters(text string) uint32 { return uint32(utf8.RuneCountInString(text)) }

//export reverse
func reverse(data []byte) []byte {
	slices.Reverse(data)
	return data
}

//export sorted
func sorted(numbers []int32) []int32 {
	slices.Sort(numbers)
	return numbers
}

//export total
func total(numbers []float64) (sum float64) {
	for _, n := range numbers {
		sum += n
	}
	return sum
}

//export join
func join(words []string, by string) string { return strings.Join(words, by) }

//export split
func split(text, by string) []string { return strings.Split(text, by) }

//export first
func first(text *string) *string {
	if text == nil {
		return nil
	}
	_, size := utf8.DecodeRuneInString(*text)
	found := (*text)[:size]
	return &found
}

//export half
func half(n *float64) *float64 {
	if n == nil {
		return nil
	}
	found := *n / 2
	return &found
}

//export wrap
func wrap(value any) any { return map[string]any{"value": value, "ok": true} }

//export checksum
func checksum(data []byte) (sum uint32) {
	for _, each := range data {
		sum += uint32(each)
	}
	return sum
}

//export repeat
func repeat(text string, times uint32) string { return strings.Repeat(text, int(times)) }

//export refuse
func refuse(why string) error { return errors.New(why) }

//export spin
func spin() {
	for {
	}
}

var calls int32

//export count_up
func countUp() int32 {
	calls++
	return calls
}

//export variable
func variable(name string) *string {
	value, found := echelon.Env(name)
	if !found {
		return nil
	}
	return &value
}

//export note
func note(text string) { echelon.Info(text) }

//export store
func store(name, value string) { kv.Set(kv.Key{"conformance", name}, value) }

//export load
func load(name string) *string {
	entry, found := kv.Get(kv.Key{"conformance", name})
	if !found {
		return nil
	}
	text := entry.Text()
	return &text
}

//export forget
func forget(name string) { kv.Delete(kv.Key{"conformance", name}) }

//export tally
func tally(name string, n uint32) uint64 {
	key := kv.Key{"conformance", "tally", name}
	new(kv.Atomic).Sum(key, uint64(n)).Commit()
	entry, _ := kv.Get(key)
	return entry.Number()
}

//export claim
func claim(name, value string) bool {
	key := kv.Key{"conformance", name}
	_, ok := new(kv.Atomic).Check(key, "").Set(key, value).Commit()
	return ok
}

//export names
func names(limit uint32, cursor string) []string {
	entries, next := kv.List{Prefix: kv.Key{"conformance", "page"}, Limit: int(limit), Cursor: cursor}.Read()
	var found []string
	for _, entry := range entries {
		found = append(found, entry.Key[2].(string))
	}
	return append(found, next)
}

//export parts
func parts(name string) string {
	kv.Set(kv.Key{"conformance", name, -7, 0.5, true, []byte{0, 255}}, "found")
	entries, _ := kv.List{Prefix: kv.Key{"conformance", name}}.Read()
	key := entries[0].Key
	return fmt.Sprint(key[2], " ", key[3], " ", key[4], " ", len(key[5].([]byte)), " ", entries[0].Text())
}

//export ask
func ask(url string) (string, error) {
	answer, err := echelon.Get(url)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d %s", answer.Status, answer.Text()), nil
}

//go:wasmimport shop price
func shopPrice(article string) uint32

//export price
func price(article string) uint32 { return shopPrice(article) }

//export handle
func handle(request *echelon.Request) *echelon.Response {
	said := request.Header.Get("x-say")
	if said == "" {
		said = "nothing"
	}
	body := strings.Join([]string{request.Method, request.Path, request.Query, request.Text()}, " ")
	return echelon.Plain(body).WithStatus(201).With("x-heard", said)
}
