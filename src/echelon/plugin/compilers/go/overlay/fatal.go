// What the runtime of a guest cannot go on from is told to the host, whose caller reads it. A new file of package runtime.
package runtime

//go:wasmimport echelon abort
//go:noescape
func echelon_abort(text, file string, line, column uint32)
