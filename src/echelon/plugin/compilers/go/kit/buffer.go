package echelon

import "encoding/binary"

// Writer fills a buffer of the host.
type Writer struct{ Content []byte }

func (w *Writer) Number(value int) {
	w.Content = binary.LittleEndian.AppendUint32(w.Content, uint32(value))
}

func (w *Writer) Wide(value uint64) {
	w.Content = binary.LittleEndian.AppendUint64(w.Content, value)
}

func (w *Writer) Text(value string) {
	w.Number(len(value))
	w.Content = append(w.Content, value...)
}

func (w *Writer) Bytes(value []byte) {
	w.Number(len(value))
	w.Content = append(w.Content, value...)
}

// Reader reads a buffer of the host from the front.
type Reader struct{ Content []byte }

func (r *Reader) take(size int) []byte {
	if size < 0 || size > len(r.Content) {
		Fail("a buffer of the host ends too early")
	}
	found := r.Content[:size:size]
	r.Content = r.Content[size:]
	return found
}

func (r *Reader) Number() int   { return int(binary.LittleEndian.Uint32(r.take(4))) }
func (r *Reader) Wide() uint64  { return binary.LittleEndian.Uint64(r.take(8)) }
func (r *Reader) Bytes() []byte { return r.take(r.Number()) }
func (r *Reader) Text() string  { return string(r.Bytes()) }
