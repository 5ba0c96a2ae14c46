package echelon

import (
	"runtime"
	"strconv"
	"strings"
)

// Guard makes of a panic what the caller of the guest can read; it is deferred by every exported function.
func Guard() {
	value := recover()
	if value == nil {
		return
	}
	file, line := panicked()
	abort(text(value), file, line)
}

// Check ends the call with the text of an error that an exported function returned.
func Check(err error) {
	if err != nil {
		abort(err.Error(), "", 0)
	}
}

func text(value any) string {
	switch found := value.(type) {
	case error:
		return found.Error()
	case interface{ String() string }:
		return found.String()
	case string:
		return found
	case int:
		return strconv.Itoa(found)
	}
	return "panic with a value that is no text"
}

func caller(skip int) (string, int) {
	_, file, line, _ := runtime.Caller(skip + 1)
	return file, line
}

// panicked returns the line of the guest's own code that the panic came from.
func panicked() (string, int) {
	var places [64]uintptr
	frames := runtime.CallersFrames(places[:runtime.Callers(2, places[:])])
	inside := false
	for {
		frame, more := frames.Next()
		library := strings.HasPrefix(frame.Function, "runtime.")
		inside = inside || library
		if inside && !library && !strings.HasPrefix(frame.File, "go/") {
			return frame.File, frame.Line
		}
		if !more {
			return "", 0
		}
	}
}
