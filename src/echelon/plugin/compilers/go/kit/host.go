package echelon

import "unsafe"

//go:wasmimport echelon abort
func hostAbort(text, file string, line, column uint32)

//go:wasmimport echelon log
func hostLog(level int32, text string)

//go:wasmimport echelon env_get
func hostEnv(name string) int32

//go:wasmimport echelon read_file
func hostReadFile(path string) int32

//go:wasmimport echelon write_file
func hostWriteFile(path, content string) int32

//go:wasmimport echelon take
func hostTake(into unsafe.Pointer)

//go:wasmimport echelon fetch
func hostFetch(request string) int32

// Taken returns what the last function of the host has found; a negative length says that it found nothing.
func Taken(length int32) (content []byte, found bool) {
	if length < 0 {
		return nil, false
	}
	content = make([]byte, length)
	if length > 0 {
		hostTake(unsafe.Pointer(&content[0]))
	}
	return content, true
}

// Fail ends the call; its caller reads the message with the file and line of this call.
func Fail(message string) {
	file, line := caller(1)
	abort(message, file, line)
}

func abort(message, file string, line int) {
	hostAbort(message, file, uint32(line), 0)
	panic("unreachable")
}

// Env returns the value of a variable; a variable that is not granted ends the call.
func Env(name string) (value string, found bool) {
	content, found := Taken(hostEnv(name))
	return string(content), found
}

// ReadFile returns the content of a file, where the call's permissions reach.
func ReadFile(path string) (content []byte, found bool) { return Taken(hostReadFile(path)) }

// WriteFile replaces a file.
func WriteFile(path string, content []byte) {
	hostWriteFile(path, unsafe.String(unsafe.SliceData(content), len(content)))
}

// Debug adds to the log of the call, as do Info, Warning and Error.
func Debug(text string)   { hostLog(0, text) }
func Info(text string)    { hostLog(1, text) }
func Warning(text string) { hostLog(2, text) }
func Error(text string)   { hostLog(3, text) }
