// Package kv is the key-value store, as far as the call's permissions reach.
//
//	kv.Set(kv.Key{"visits", "home"}, "1")
//	entry, found := kv.Get(kv.Key{"visits", "home"})
package kv

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"time"
	"unsafe"

	"echelon"
)

//go:wasmimport echelon kv_get
func hostGet(key string) int32

//go:wasmimport echelon kv_set
func hostSet(key string, kind uint32, value string, expire int64) int32

//go:wasmimport echelon kv_delete
func hostDelete(key string)

//go:wasmimport echelon kv_list
func hostList(request string) int32

//go:wasmimport echelon kv_atomic
func hostAtomic(commit string) int32

// Key has parts: string, int, int64, *big.Int, float64, bool, []byte.
type Key []any

// Kind says what a value is.
type Kind uint32

const (
	Bytes Kind = iota
	Text
	JSON
	U64
)

// Entry is what is under a key.
type Entry struct {
	Key     Key
	Version string
	Kind    Kind
	Content []byte
}

// Text returns a value that is text or JSON.
func (e Entry) Text() string { return string(e.Content) }

// Number returns a value that is a U64.
func (e Entry) Number() uint64 {
	if e.Kind != U64 || len(e.Content) != 8 {
		echelon.Fail("the value under this key is no u64")
	}
	return binary.LittleEndian.Uint64(e.Content)
}

func text(content []byte) string { return unsafe.String(unsafe.SliceData(content), len(content)) }

func (key Key) write(into *echelon.Writer) {
	into.Number(len(key))
	for _, part := range key {
		switch found := part.(type) {
		case []byte:
			into.Number(1)
			into.Bytes(found)
		case string:
			into.Number(2)
			into.Text(found)
		case int:
			into.Number(3)
			into.Wide(uint64(found))
		case int64:
			into.Number(3)
			into.Wide(uint64(found))
		case float64:
			into.Number(4)
			into.Wide(math.Float64bits(found))
		case bool:
			into.Number(5)
			if found {
				into.Number(1)
			} else {
				into.Number(0)
			}
		case *big.Int:
			into.Number(6)
			into.Text(found.String())
		default:
			echelon.Fail(fmt.Sprintf(
				"%T is no part of a key; use string, int, int64, *big.Int, float64, bool or []byte", part))
		}
	}
}

func (key Key) written() string {
	var into echelon.Writer
	key.write(&into)
	return text(into.Content)
}

func readKey(from *echelon.Reader) Key {
	key := make(Key, 0, 4)
	for range from.Number() {
		switch from.Number() {
		case 1:
			key = append(key, from.Bytes())
		case 2:
			key = append(key, from.Text())
		case 3:
			key = append(key, int(from.Wide()))
		case 4:
			key = append(key, math.Float64frombits(from.Wide()))
		case 5:
			key = append(key, from.Number() != 0)
		default:
			whole, _ := new(big.Int).SetString(from.Text(), 10)
			key = append(key, whole)
		}
	}
	return key
}

func readEntry(key Key, from *echelon.Reader) Entry {
	return Entry{key, from.Text(), Kind(from.Number()), from.Bytes()}
}

func valued(value any) (Kind, string) {
	switch found := value.(type) {
	case string:
		return Text, found
	case []byte:
		return Bytes, text(found)
	case echelon.JSON:
		return JSON, string(found)
	case uint64:
		return U64, text(binary.LittleEndian.AppendUint64(nil, found))
	}
	echelon.Fail(fmt.Sprintf("%T is no value of the store; use string, []byte, echelon.JSON or uint64", value))
	return 0, ""
}

// Get reads an entry.
func Get(key Key) (entry Entry, found bool) {
	content, found := echelon.Taken(hostGet(key.written()))
	if !found {
		return Entry{}, false
	}
	return readEntry(key, &echelon.Reader{Content: content}), true
}

// Set stores a string, []byte, echelon.JSON or uint64 and returns its version.
func Set(key Key, value any) string { return SetFor(key, value, 0) }

// SetFor stores a value that goes away after a time, in whole milliseconds; 0 is for ever.
func SetFor(key Key, value any, expire time.Duration) string {
	kind, content := valued(value)
	version, _ := echelon.Taken(hostSet(key.written(), uint32(kind), content, expire.Milliseconds()))
	return string(version)
}

// Delete removes what is under a key.
func Delete(key Key) { hostDelete(key.written()) }

// List says which entries to read. Start is included, End is not; a Limit of 0 is 100.
type List struct {
	Prefix, Start, End Key
	Limit              int
	Reverse            bool
	Cursor             string
}

// Read returns the entries, and the cursor of those that follow, "" at the end.
func (list List) Read() (entries []Entry, cursor string) {
	var into echelon.Writer
	list.Prefix.write(&into)
	for _, key := range []Key{list.Start, list.End} {
		if key == nil {
			into.Number(0)
		} else {
			into.Number(1)
			key.write(&into)
		}
	}
	into.Number(list.Limit)
	if list.Reverse {
		into.Number(1)
	} else {
		into.Number(0)
	}
	into.Text(list.Cursor)
	content, _ := echelon.Taken(hostList(text(into.Content)))
	from := &echelon.Reader{Content: content}
	for range from.Number() {
		entries = append(entries, readEntry(readKey(from), from))
	}
	return entries, from.Text()
}

// Atomic collects checks and changes that are made together, or not at all.
type Atomic struct {
	checks, changes echelon.Writer
	checked, made   int
}

// Check requires that an entry has this version, "" that there is none.
func (a *Atomic) Check(key Key, version string) *Atomic {
	a.checked++
	key.write(&a.checks)
	a.checks.Text(version)
	return a
}

func (a *Atomic) change(action int, key Key) {
	a.made++
	a.changes.Number(action)
	key.write(&a.changes)
}

// Set stores a value.
func (a *Atomic) Set(key Key, value any) *Atomic { return a.SetFor(key, value, 0) }

// SetFor stores a value that goes away after a time.
func (a *Atomic) SetFor(key Key, value any, expire time.Duration) *Atomic {
	kind, content := valued(value)
	a.change(1, key)
	a.changes.Wide(uint64(expire.Milliseconds()))
	a.changes.Number(int(kind))
	a.changes.Text(content)
	return a
}

// Delete removes what is under a key.
func (a *Atomic) Delete(key Key) *Atomic {
	a.change(2, key)
	return a
}

// Sum adds to a U64; Min and Max keep the smaller and the larger one.
func (a *Atomic) Sum(key Key, n uint64) *Atomic { return a.number(3, key, n) }
func (a *Atomic) Min(key Key, n uint64) *Atomic { return a.number(4, key, n) }
func (a *Atomic) Max(key Key, n uint64) *Atomic { return a.number(5, key, n) }

func (a *Atomic) number(action int, key Key, n uint64) *Atomic {
	a.change(action, key)
	a.changes.Wide(n)
	return a
}

// Commit makes the changes and returns their version; not ok says that a check failed.
func (a *Atomic) Commit() (version string, ok bool) {
	var into echelon.Writer
	into.Number(a.checked)
	into.Content = append(into.Content, a.checks.Content...)
	into.Number(a.made)
	into.Content = append(into.Content, a.changes.Content...)
	content, ok := echelon.Taken(hostAtomic(text(into.Content)))
	return string(content), ok
}
