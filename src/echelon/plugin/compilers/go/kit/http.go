package echelon

import (
	"errors"
	"strings"
	"unsafe"
)

const version = 1

// Header has the names and values of a request or response, in order.
type Header [][2]string

// Get returns the first value of a name, whatever its case, or "".
func (h Header) Get(name string) string {
	for _, pair := range h {
		if strings.EqualFold(pair[0], name) {
			return pair[1]
		}
	}
	return ""
}

// Values returns every value of a name.
func (h Header) Values(name string) []string {
	var found []string
	for _, pair := range h {
		if strings.EqualFold(pair[0], name) {
			found = append(found, pair[1])
		}
	}
	return found
}

// Add adds a value.
func (h *Header) Add(name, value string) { *h = append(*h, [2]string{name, value}) }

// Set replaces every value of a name.
func (h *Header) Set(name, value string) {
	kept := Header{}
	for _, pair := range *h {
		if !strings.EqualFold(pair[0], name) {
			kept = append(kept, pair)
		}
	}
	*h = append(kept, [2]string{name, value})
}

func (h Header) write(into *Writer) {
	into.Number(len(h))
	for _, pair := range h {
		into.Text(pair[0])
		into.Text(pair[1])
	}
}

func readHeader(from *Reader) Header {
	var made Header
	for range from.Number() {
		name := from.Text()
		made = append(made, [2]string{name, from.Text()})
	}
	return made
}

// Request is one that came, or one to make, whose Path is the whole URL.
type Request struct {
	Method string
	// The path below the mount.
	Path string
	// What came behind the "?", as it was sent.
	Query  string
	Header Header
	Body   []byte
}

// Text returns the body as text.
func (r *Request) Text() string { return string(r.Body) }

// Response is one to give, or one that came. A status of 0 is 200.
type Response struct {
	Status int
	Header Header
	Body   []byte
}

// Reply makes a response: its status, its content type and its body.
func Reply(status int, kind string, body string) *Response {
	return &Response{Status: status, Header: Header{{"content-type", kind}}, Body: []byte(body)}
}

// Plain makes a response of text, HTML one of a page and ReplyJSON one of JSON.
func Plain(body string) *Response     { return Reply(200, "text/plain; charset=utf-8", body) }
func HTML(body string) *Response      { return Reply(200, "text/html; charset=utf-8", body) }
func ReplyJSON(value JSON) *Response { return Reply(200, "application/json", string(value)) }

// With sets a header and returns the response.
func (r *Response) With(name, value string) *Response {
	r.Header.Set(name, value)
	return r
}

// WithStatus sets the status and returns the response.
func (r *Response) WithStatus(status int) *Response {
	r.Status = status
	return r
}

// Text returns the body as text.
func (r *Response) Text() string { return string(r.Body) }

// Fetch makes a request and follows redirects; an error says why there is no answer. The host has to be granted.
func Fetch(request *Request) (*Response, error) {
	var into Writer
	into.Number(version)
	into.Text(request.Method)
	into.Text(request.Path)
	into.Number(0)
	request.Header.write(&into)
	into.Bytes(request.Body)
	content, _ := Taken(hostFetch(unsafe.String(unsafe.SliceData(into.Content), len(into.Content))))
	from := Reader{content}
	from.Number()
	status := from.Number()
	from.Text() // the URL that answered
	answer := &Response{Status: status, Header: readHeader(&from), Body: from.Bytes()}
	if status == 0 {
		return nil, errors.New(answer.Text())
	}
	return answer, nil
}

// Get fetches a URL.
func Get(url string) (*Response, error) { return Fetch(&Request{Method: "GET", Path: url}) }

// Requests and Responses are how a handler's values cross.
func Requests() Type[*Request] {
	return blocks(
		func(at unsafe.Pointer, length uint32) *Request {
			from := Reader{unsafe.Slice((*byte)(at), length)}
			from.Number()
			return &Request{from.Text(), from.Text(), from.Text(), readHeader(&from), from.Bytes()}
		},
		func(request *Request) (unsafe.Pointer, int) {
			var into Writer
			into.Number(version)
			into.Text(request.Method)
			into.Text(request.Path)
			into.Text(request.Query)
			request.Header.write(&into)
			into.Bytes(request.Body)
			return keep(unsafe.Pointer(unsafe.SliceData(into.Content))), len(into.Content)
		},
	)
}

func Responses() Type[*Response] {
	return blocks(
		func(at unsafe.Pointer, length uint32) *Response {
			from := Reader{unsafe.Slice((*byte)(at), length)}
			from.Number()
			return &Response{from.Number(), readHeader(&from), from.Bytes()}
		},
		func(response *Response) (unsafe.Pointer, int) {
			if response == nil {
				Fail("the handler returned no response")
			}
			status := response.Status
			if status == 0 {
				status = 200
			}
			var into Writer
			into.Number(version)
			into.Number(status)
			response.Header.write(&into)
			into.Bytes(response.Body)
			return keep(unsafe.Pointer(unsafe.SliceData(into.Content))), len(into.Content)
		},
	)
}
