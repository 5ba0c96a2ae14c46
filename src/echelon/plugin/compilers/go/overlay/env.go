// The variables of a guest, each asked of its host when it is read: what is not granted ends the call, and the start of
// the runtime needs no grant. It takes the place of env_unix.go in the package syscall.
package syscall

import (
	"sync"
	"unsafe"
)

//go:wasmimport echelon env_get
func echelon_env_get(name string) int32

//go:wasmimport echelon take
func echelon_take(into unsafe.Pointer)

//go:wasmimport wasi_snapshot_preview1 environ_sizes_get
//go:noescape
func environ_sizes_get(count *uint32, size *uint32) Errno

//go:wasmimport wasi_snapshot_preview1 environ_get
//go:noescape
func environ_get(places *uint32, content *byte) Errno

var (
	envLock sync.Mutex
	// What the guest itself has set, nil for what it has removed.
	changed map[string]*string
	cleared bool
)

func runtime_envs() []string // in package runtime

func Getenv(key string) (value string, found bool) {
	if len(key) == 0 {
		return "", false
	}
	envLock.Lock()
	defer envLock.Unlock()
	if value, known := changed[key]; known || cleared {
		if value == nil {
			return "", false
		}
		return *value, true
	}
	if key == "PWD" { // the library itself asks for it, at the start
		return "", false
	}
	length := echelon_env_get(key)
	if length <= 0 {
		return "", length == 0
	}
	content := make([]byte, length)
	echelon_take(unsafe.Pointer(&content[0]))
	return string(content), true
}

func Setenv(key, value string) error {
	if len(key) == 0 {
		return EINVAL
	}
	for i := 0; i < len(key); i++ {
		if key[i] == '=' || key[i] == 0 {
			return EINVAL
		}
	}
	for i := 0; i < len(value); i++ {
		if value[i] == 0 {
			return EINVAL
		}
	}
	change(key, &value)
	return nil
}

func Unsetenv(key string) error {
	change(key, nil)
	return nil
}

func change(key string, value *string) {
	envLock.Lock()
	defer envLock.Unlock()
	if changed == nil {
		changed = make(map[string]*string)
	}
	changed[key] = value
}

func Clearenv() {
	envLock.Lock()
	defer envLock.Unlock()
	changed, cleared = nil, true
}

func Environ() []string {
	envLock.Lock()
	defer envLock.Unlock()
	var found []string
	if !cleared {
		for _, each := range environ() {
			if _, known := changed[name(each)]; !known {
				found = append(found, each)
			}
		}
	}
	for key, value := range changed {
		if value != nil {
			found = append(found, key+"="+*value)
		}
	}
	return found
}

func name(variable string) string {
	for i := 0; i < len(variable); i++ {
		if variable[i] == '=' {
			return variable[:i]
		}
	}
	return variable
}

func environ() []string {
	var count, size uint32
	if environ_sizes_get(&count, &size) != 0 || count == 0 {
		return nil
	}
	places, content := make([]uint32, count), make([]byte, size)
	if environ_get(&places[0], &content[0]) != 0 {
		return nil
	}
	found := make([]string, 0, count)
	for start, end := 0, 0; end < len(content); end++ {
		if content[end] == 0 {
			found = append(found, string(content[start:end]))
			start = end + 1
		}
	}
	return found
}
