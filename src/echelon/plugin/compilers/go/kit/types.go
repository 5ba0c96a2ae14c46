// Package echelon is what a guest in Go uses of its host (docs/go.md):
//
//	//export greet
//	func greet(who string) string { return "Hello, " + who + "!" }
//
// Types in this file say how values lie in memory (docs/abi.md); the functions that the compiler writes around
// exported ones use them. Arguments are not copied: they lie in a block that nothing else uses and the collector keeps.
package echelon

import "unsafe"

// Type is how values of T cross. Only those of numbers have no load and store.
type Type[T any] struct {
	size, align uintptr
	// plain says that a list of them lies in memory as Go has it.
	plain bool
	read  func(at unsafe.Pointer) T
	write func(at unsafe.Pointer, value T)
	load  func(at unsafe.Pointer, count uint32) T
	store func(value T) (unsafe.Pointer, int)
}

// JSON is the text of any value of JSON.
type JSON string

var (
	block []uint64
	kept  []unsafe.Pointer
	empty [8]byte
)

// Most is what a call can take or give at once, in bytes.
const most = 1 << 30

//go:wasmexport echelon_alloc
func allocate(size uint32) unsafe.Pointer {
	if size > most {
		return nil
	}
	block = make([]uint64, size/8+1)
	return unsafe.Pointer(&block[0])
}

// Begin lets go of what the last call returned.
func Begin() {
	clear(kept)
	kept = kept[:0]
}

// Room makes a place for results, which stays until the next call.
func Room(size uintptr) unsafe.Pointer {
	made := make([]uint64, size/8+1)
	return keep(unsafe.Pointer(&made[0]))
}

func keep(at unsafe.Pointer) unsafe.Pointer {
	if at == nil {
		return unsafe.Pointer(&empty)
	}
	kept = append(kept, at)
	return at
}

func word(at unsafe.Pointer, index uintptr) *uint32 { return (*uint32)(unsafe.Add(at, index*4)) }

func pointer(address uint32) unsafe.Pointer { return unsafe.Pointer(uintptr(address)) }

// Read returns the value that lies at a place in memory.
func (t Type[T]) Read(at unsafe.Pointer) T { return t.read(at) }

// Write puts a value at a place in memory.
func (t Type[T]) Write(at unsafe.Pointer, value T) { t.write(at, value) }

// Load returns an argument.
func (t Type[T]) Load(address, count uint32) T { return t.load(pointer(address), count) }

// Give makes a result of a value.
func (t Type[T]) Give(value T) uint64 {
	at, count := t.store(value)
	return uint64(uintptr(at))<<32 | uint64(uint32(count))
}

// Number is a number, or a truth value, that Go has as the host does.
func Number[T any]() Type[T] {
	var zero T
	return Type[T]{
		size: unsafe.Sizeof(zero), align: unsafe.Sizeof(zero), plain: true,
		read:  func(at unsafe.Pointer) T { return *(*T)(at) },
		write: func(at unsafe.Pointer, value T) { *(*T)(at) = value },
	}
}

func blocks[T any](load func(unsafe.Pointer, uint32) T, store func(T) (unsafe.Pointer, int)) Type[T] {
	return Type[T]{
		size: 8, align: 4, load: load, store: store,
		read: func(at unsafe.Pointer) T { return load(pointer(*word(at, 0)), *word(at, 1)) },
		write: func(at unsafe.Pointer, value T) {
			place, count := store(value)
			*word(at, 0), *word(at, 1) = uint32(uintptr(place)), uint32(count)
		},
	}
}

// Text is text, also that of JSON.
func Text[T ~string]() Type[T] {
	return blocks(
		func(at unsafe.Pointer, length uint32) T {
			if length == 0 {
				return ""
			}
			return T(unsafe.String((*byte)(at), length))
		},
		func(value T) (unsafe.Pointer, int) {
			return keep(unsafe.Pointer(unsafe.StringData(string(value)))), len(value)
		},
	)
}

// List is a list, or bytes.
func List[L ~[]T, T any](item Type[T]) Type[L] {
	if item.plain {
		return blocks(
			func(at unsafe.Pointer, count uint32) L {
				if count == 0 {
					return L{}
				}
				return L(unsafe.Slice((*T)(at), count))
			},
			func(value L) (unsafe.Pointer, int) { return keep(unsafe.Pointer(unsafe.SliceData(value))), len(value) },
		)
	}
	return blocks(
		func(at unsafe.Pointer, count uint32) L {
			made := make(L, count)
			for i := range made {
				made[i] = item.read(unsafe.Add(at, uintptr(i)*item.size))
			}
			return made
		},
		func(value L) (unsafe.Pointer, int) {
			at := Room(uintptr(len(value)) * item.size)
			for i, each := range value {
				item.write(unsafe.Add(at, uintptr(i)*item.size), each)
			}
			return at, len(value)
		},
	)
}

// Record is a struct; the functions read and write one.
func Record[T any](size uintptr, read func(unsafe.Pointer) T, write func(unsafe.Pointer, T)) Type[T] {
	return blocks(
		func(at unsafe.Pointer, _ uint32) T { return read(at) },
		func(value T) (unsafe.Pointer, int) {
			at := Room(size)
			write(at, value)
			return at, int(size)
		},
	)
}

func up(size, align uintptr) uintptr { return (size + align - 1) / align * align }

// Map is a map; of a key that comes twice the last entry counts.
func Map[M ~map[K]V, K comparable, V any](key Type[K], value Type[V]) Type[M] {
	behind := up(key.size, value.align)
	size := up(behind+value.size, max(key.align, value.align))
	return blocks(
		func(at unsafe.Pointer, count uint32) M {
			made := make(M, count)
			for i := range uintptr(count) {
				entry := unsafe.Add(at, i*size)
				made[key.read(entry)] = value.read(unsafe.Add(entry, behind))
			}
			return made
		},
		func(found M) (unsafe.Pointer, int) {
			at := Room(uintptr(len(found)) * size)
			entry := at
			for name, each := range found {
				key.write(entry, name)
				value.write(unsafe.Add(entry, behind), each)
				entry = unsafe.Add(entry, size)
			}
			return at, len(found)
		},
	)
}

// Option is a block or nil.
func Option[T any](item Type[T]) Type[*T] {
	return blocks(
		func(at unsafe.Pointer, count uint32) *T {
			if at == nil {
				return nil
			}
			value := item.load(at, count)
			return &value
		},
		func(value *T) (unsafe.Pointer, int) {
			if value == nil {
				return nil, 0
			}
			return item.store(*value)
		},
	)
}

// OptionalNumber is a number or nil.
func OptionalNumber[T any](item Type[T]) Type[*T] {
	return Type[*T]{
		size: 2 * item.size, align: item.align,
		read: func(at unsafe.Pointer) *T {
			if *(*byte)(at) == 0 {
				return nil
			}
			value := item.read(unsafe.Add(at, item.size))
			return &value
		},
		write: func(at unsafe.Pointer, value *T) {
			*(*byte)(at) = 0
			if value != nil {
				*(*byte)(at) = 1
				item.write(unsafe.Add(at, item.size), *value)
			}
		},
	}
}

// Given makes an argument of a number that may be nil.
func Given[T any](given int32, value T) *T {
	if given == 0 {
		return nil
	}
	return &value
}

// Converted is what another type becomes.
func Converted[A, B any](item Type[A], read func(A) B, write func(B) A) Type[B] {
	return blocks(
		func(at unsafe.Pointer, count uint32) B { return read(item.load(at, count)) },
		func(value B) (unsafe.Pointer, int) { return item.store(write(value)) },
	)
}
