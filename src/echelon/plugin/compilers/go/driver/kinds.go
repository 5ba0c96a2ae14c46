package main

import (
	"fmt"
	"go/types"
	"reflect"
	"strings"
)

const deepest = 8

// kind is how values of one type of Go cross.
type kind struct {
	// name is the type as callers see it, goName as Go does.
	name, goName string
	// variable holds the Type of the kit.
	variable    string
	size, align uintptr
	// number says that a parameter is one word and has no load; core is that word.
	number bool
	core   string
	// optional is a number or nil, which lies in memory as a result.
	optional bool
	// word is what a function returns whose only result it is, "" when that lies in memory; back makes it.
	word, back string
	depth      int
}

// parameter returns how a function takes it, and the value it makes of it.
func (k *kind) parameter(index int) (param, value string) {
	switch {
	case k.optional:
		return fmt.Sprintf("g%d int32, a%d %s", index, index, k.core), fmt.Sprintf("echelon.Given(g%d, %s)", index, k.from(index))
	case k.number:
		return fmt.Sprintf("a%d %s", index, k.core), k.from(index)
	}
	return fmt.Sprintf("a%d, n%d uint32", index, index), fmt.Sprintf("%s.Load(a%d, n%d)", k.variable, index, index)
}

func (k *kind) from(index int) string {
	name := strings.TrimPrefix(k.goName, "*")
	if strings.HasSuffix(k.name, "bool") || k.name == "option<bool>" {
		return fmt.Sprintf("%s(a%d != 0)", name, index)
	}
	return fmt.Sprintf("%s(a%d)", name, index)
}

// kinds collects the types that the exported functions use.
type kinds struct {
	found     *types.Package
	known     map[string]*kind
	imports   map[string]string
	variables strings.Builder
}

func newTypes(found *types.Package) *kinds {
	return &kinds{found: found, known: map[string]*kind{}, imports: map[string]string{}}
}

// qualify names a package in the glue.
func (k *kinds) qualify(other *types.Package) string {
	if other == k.found {
		return ""
	}
	if other.Path() == kitPath {
		return kitPath
	}
	if k.imports[other.Path()] == "" {
		k.imports[other.Path()] = fmt.Sprintf("import%d", len(k.imports))
	}
	return k.imports[other.Path()]
}

type word struct {
	name, core string
	size       uintptr
}

var basics = map[types.BasicKind]word{
	types.Bool: {"bool", "int32", 1},
	types.Int8: {"i8", "int32", 1}, types.Uint8: {"u8", "int32", 1},
	types.Int16: {"i16", "int32", 2}, types.Uint16: {"u16", "int32", 2},
	types.Int32: {"i32", "int32", 4}, types.Uint32: {"u32", "uint32", 4},
	types.Int64: {"i64", "int64", 8}, types.Uint64: {"u64", "uint64", 8},
	types.Int: {"i64", "int64", 8}, types.Uint: {"u64", "uint64", 8},
	types.Float32: {"f32", "float32", 4}, types.Float64: {"f64", "float64", 8},
}

// of returns how a type crosses, or why it does not.
func (k *kinds) of(found types.Type, within []types.Type) (*kind, string) {
	found = types.Unalias(found)
	for _, outer := range within {
		if types.Identical(outer, found) {
			return nil, fmt.Sprintf("%s contains itself, which cannot cross; use echelon.JSON", k.shown(found))
		}
	}
	if len(within) > 2*deepest {
		return nil, fmt.Sprintf("%s is too deep, at most %d levels cross", k.shown(within[0]), deepest)
	}
	if named, ok := found.(*types.Named); ok && named.Obj().Pkg() != nil && named.Obj().Pkg() != k.found && !named.Obj().Exported() {
		return nil, fmt.Sprintf("%s is not exported by its package, so it cannot cross", k.shown(found))
	}
	goName := types.TypeString(found, k.qualify)
	if known := k.known[goName]; known != nil {
		return known, ""
	}
	made, why := k.make(found, goName, append(within, found))
	if why != "" {
		return nil, why
	}
	if made.depth > deepest {
		return nil, fmt.Sprintf("%s is too deep, at most %d levels cross", k.shown(found), deepest)
	}
	made.goName = goName
	made.variable = fmt.Sprintf("echelonType%d", len(k.known))
	k.known[goName] = made
	return made, ""
}

func (k *kinds) shown(found types.Type) string { return types.TypeString(found, (*types.Package).Name) }

// block is a kind that is an address and a count.
func block(name string, depth int) *kind {
	return &kind{name: name, size: 8, align: 4, word: "uint64", depth: depth}
}

func (k *kinds) variable(made *kind, expression string, values ...any) *kind {
	text := fmt.Sprintf(expression, values...)
	variable := fmt.Sprintf("echelonType%d", len(k.known))
	fmt.Fprintf(&k.variables, "\t%s = %s\n", variable, text)
	if made.word == "uint64" && made.back == "" {
		made.back = variable + ".Give(%s)"
	}
	return made
}

func (k *kinds) make(found types.Type, goName string, within []types.Type) (*kind, string) {
	switch goName {
	case "echelon.JSON":
		return k.variable(block("json", 0), "echelon.Text[echelon.JSON]()"), ""
	case "*echelon.Request":
		return k.variable(block("bytes", 0), "echelon.Requests()"), ""
	case "*echelon.Response":
		return k.variable(block("bytes", 0), "echelon.Responses()"), ""
	case "echelon.Request", "echelon.Response":
		return nil, fmt.Sprintf("%s crosses as a pointer, *%s", goName, goName)
	}
	if isRaw(found) {
		return k.variable(block("json", 0), "%s.Raw()", k.values()), ""
	}
	switch under := found.Underlying().(type) {
	case *types.Basic:
		return k.basic(under, goName, found)
	case *types.Slice:
		return k.list(under, goName, within)
	case *types.Map:
		return k.dictionary(under, goName, within)
	case *types.Pointer:
		return k.option(under, within)
	case *types.Struct:
		return k.record(under, goName, within)
	case *types.Interface:
		if under.Empty() && !isNamed(found) {
			return k.variable(block("json", 0), "%s.Any()", k.values()), ""
		}
	}
	return nil, k.refusal(found)
}

func (k *kinds) refusal(found types.Type) string {
	return fmt.Sprintf("%s cannot cross; there are bool, numbers, string, slices, maps, structs, pointers for what may be nil, any and echelon.JSON", k.shown(found))
}

// isRaw tells whether it is json.RawMessage, which is another name of jsontext.Value.
func isRaw(found types.Type) bool {
	named, ok := found.(*types.Named)
	return ok && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == "encoding/json/jsontext" && named.Obj().Name() == "Value"
}

func isNamed(found types.Type) bool {
	_, named := found.(*types.Named)
	return named
}

func (k *kinds) values() string {
	return k.qualify(types.NewPackage(kitPath+"/values", "values"))
}

func (k *kinds) basic(under *types.Basic, goName string, found types.Type) (*kind, string) {
	if under.Kind() == types.String {
		return k.variable(block("str", 0), "echelon.Text[%s]()", goName), ""
	}
	basic, known := basics[under.Kind()]
	if !known {
		return nil, k.refusal(found)
	}
	made := &kind{name: basic.name, size: basic.size, align: basic.size, number: true, core: basic.core, word: basic.core, back: basic.core + "(%s)"}
	if under.Kind() == types.Bool {
		made.word, made.back = "bool", "bool(%s)"
	}
	return k.variable(made, "echelon.Number[%s]()", goName), ""
}

func (k *kinds) list(under *types.Slice, goName string, within []types.Type) (*kind, string) {
	item, why := k.of(under.Elem(), within)
	if why != "" {
		return nil, why
	}
	name := "list<" + item.name + ">"
	if item.name == "u8" {
		name = "bytes"
	}
	return k.variable(block(name, item.depth+1), "echelon.List[%s](%s)", goName, item.variable), ""
}

func (k *kinds) dictionary(under *types.Map, goName string, within []types.Type) (*kind, string) {
	key, why := k.of(under.Key(), within)
	if why != "" {
		return nil, why
	}
	if !key.number && key.name != "str" {
		return nil, fmt.Sprintf("%s cannot be the key of a map that crosses; use numbers or string", k.shown(under.Key()))
	}
	value, why := k.of(under.Elem(), within)
	if why != "" {
		return nil, why
	}
	made := block("map<"+key.name+","+value.name+">", value.depth+1)
	return k.variable(made, "echelon.Map[%s](%s, %s)", goName, key.variable, value.variable), ""
}

func (k *kinds) option(under *types.Pointer, within []types.Type) (*kind, string) {
	item, why := k.of(under.Elem(), within)
	if why != "" {
		return nil, why
	}
	name := "option<" + item.name + ">"
	switch {
	case strings.HasPrefix(item.name, "option<"):
		return nil, "a pointer to a pointer cannot cross"
	case item.number:
		made := &kind{name: name, size: 2 * item.size, align: item.align, core: item.core, optional: true, depth: 1}
		return k.variable(made, "echelon.OptionalNumber(%s)", item.variable), ""
	}
	return k.variable(block(name, item.depth+1), "echelon.Option(%s)", item.variable), ""
}

func (k *kinds) record(under *types.Struct, goName string, within []types.Type) (*kind, string) {
	if under.NumFields() == 0 {
		return nil, "a struct without fields cannot cross"
	}
	var shown, reads, writes []string
	size, align, depth := uintptr(0), uintptr(1), 0
	for index := range under.NumFields() {
		field := under.Field(index)
		if !field.Exported() && field.Pkg() != k.found {
			return nil, fmt.Sprintf("%s has the field %s, which its package does not export", goName, field.Name())
		}
		kind, why := k.of(field.Type(), within)
		if why != "" {
			return nil, why
		}
		size = up(size, kind.align)
		shown = append(shown, label(field.Name(), under.Tag(index))+":"+kind.name)
		reads = append(reads, fmt.Sprintf("%s: %s.Read(unsafe.Add(at, %d))", field.Name(), kind.variable, size))
		writes = append(writes, fmt.Sprintf("%s.Write(unsafe.Add(at, %d), value.%s)", kind.variable, size, field.Name()))
		size += kind.size
		align = max(align, kind.align)
		depth = max(depth, kind.depth)
	}
	made := block("record{"+strings.Join(shown, ",")+"}", depth+1)
	return k.variable(made, "echelon.Record(%d, func(at unsafe.Pointer) %s { return %s{%s} }, func(at unsafe.Pointer, value %s) { %s })",
		up(size, align), goName, goName, strings.Join(reads, ", "), goName, strings.Join(writes, "; ")), ""
}

// label is the name of a field to callers: what its tag says for JSON, or its own.
func label(name, tag string) string {
	if given, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ","); given != "" && given != "-" {
		return given
	}
	return name
}

func up(size, align uintptr) uintptr { return (size + align - 1) / align * align }
