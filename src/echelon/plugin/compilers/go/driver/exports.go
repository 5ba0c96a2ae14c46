package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"regexp"
	"strings"
)

var exportable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// exports writes the functions that the host calls; an exported function is one with "//export NAME" above it.
func exports(files *token.FileSet, unit *unit, found *types.Package) (string, []string) {
	glue := &glue{files: files, types: newTypes(found), names: map[string]bool{}}
	main := false
	var functions []*ast.FuncDecl
	for _, file := range unit.files {
		for _, declared := range file.Decls {
			function, ok := declared.(*ast.FuncDecl)
			if !ok {
				continue
			}
			functions = append(functions, function)
			main = main || function.Recv == nil && function.Name.Name == "main"
			if name, _ := directive(function, "go:wasmexport"); name != "" {
				glue.names[name] = true
			}
		}
	}
	for _, function := range functions {
		if name, at := directive(function, "export"); name != "" {
			glue.export(function, name, at)
		}
	}
	if len(glue.names) == 0 && len(glue.problems) == 0 {
		at := unit.files[0].Package
		glue.problems = append(glue.problems, said(files, at, "the source exports no function; write //export NAME above one"))
	}
	if !main {
		glue.functions.WriteString("func main() {}\n")
	}
	return glue.text(), glue.problems
}

type glue struct {
	files     *token.FileSet
	types     *kinds
	names     map[string]bool
	functions strings.Builder
	problems  []string
}

func (g *glue) problem(at token.Pos, format string, values ...any) {
	g.problems = append(g.problems, said(g.files, at, format, values...))
}

func (g *glue) export(function *ast.FuncDecl, name string, at token.Pos) {
	switch {
	case function.Recv != nil:
		g.problem(function.Name.Pos(), "a method cannot be exported; export a function that calls it")
		return
	case function.Type.TypeParams != nil:
		g.problem(function.Name.Pos(), "a function with type parameters cannot be exported")
		return
	case !exportable.MatchString(name):
		g.problem(at, "%q is no name of an export; write letters, digits and _", name)
		return
	case g.names[name] || name == "echelon_alloc":
		g.problem(at, "%s is exported twice", name)
		return
	case name == "main" || name == "init":
		g.problem(at, "a function cannot be exported as %s", name)
		return
	}
	g.names[name] = true
	object, _ := g.types.found.Scope().Lookup(function.Name.Name).(*types.Func)
	if object == nil {
		g.problem(function.Name.Pos(), "%s cannot be exported", function.Name.Name)
		return
	}
	signature := object.Signature()
	if signature.Variadic() {
		g.problem(function.Name.Pos(), "%s takes any number of arguments; take a slice", name)
		return
	}
	g.write(function.Name.Name, name, signature, function.Type)
}

// write adds the function that the host calls.
func (g *glue) write(target, name string, signature *types.Signature, source *ast.FuncType) {
	var shown, params, values []string
	for index := range signature.Params().Len() {
		param := signature.Params().At(index)
		kind, ok := g.kind(param.Type(), param.Pos())
		if !ok {
			return
		}
		label := param.Name()
		if label == "" || label == "_" {
			label = fmt.Sprintf("p%d", index)
		}
		shown = append(shown, label+":"+kind.name)
		param0, value := kind.parameter(index)
		params = append(params, param0)
		values = append(values, value)
	}
	results, failing, ok := g.results(signature, source)
	if !ok {
		return
	}
	var names []string
	for _, result := range results {
		names = append(names, result.name)
	}
	line := name + "(" + strings.Join(shown, ",") + ")"
	if len(names) > 0 {
		line += "->" + strings.Join(names, ",")
	}
	word, give := outcome(results)
	called := make([]string, 0, len(results)+1)
	for index := range results {
		called = append(called, fmt.Sprintf("r%d", index))
	}
	if failing {
		called = append(called, "err")
	}
	call := target + "(" + strings.Join(values, ", ") + ")"
	if len(called) > 0 {
		call = strings.Join(called, ", ") + " := " + call
	}
	if failing {
		call += "\n\techelon.Check(err)"
	}
	fmt.Fprintf(&g.functions, "//go:wasmexport %s\nfunc echelonExport_%s(%s) %s {\n\tdefer echelon.Guard()\n\techelon.Begin()\n\t%s\n%s}\n\n",
		line, name, strings.Join(params, ", "), word, call, give)
}

// results returns what a function gives; an error as the last one ends the call.
func (g *glue) results(signature *types.Signature, source *ast.FuncType) (found []*kind, failing bool, ok bool) {
	count := signature.Results().Len()
	if count > 0 && types.Identical(signature.Results().At(count-1).Type(), types.Universe.Lookup("error").Type()) {
		failing = true
		count--
	}
	for index := range count {
		result := signature.Results().At(index)
		at := result.Pos()
		if !at.IsValid() {
			at = source.Results.Pos()
		}
		kind, ok := g.kind(result.Type(), at)
		if !ok {
			return nil, false, false
		}
		found = append(found, kind)
	}
	return found, failing, true
}

func (g *glue) kind(found types.Type, at token.Pos) (*kind, bool) {
	kind, why := g.types.of(found, nil)
	if why != "" {
		g.problem(at, "%s", why)
	}
	return kind, why == ""
}

// outcome returns the type of what the function returns, and the lines that make it.
func outcome(results []*kind) (word, give string) {
	switch {
	case len(results) == 0:
		return "", ""
	case len(results) == 1 && results[0].word != "":
		return results[0].word, "\treturn " + fmt.Sprintf(results[0].back, "r0") + "\n"
	}
	var text strings.Builder
	size := uintptr(0)
	for index, result := range results {
		size = up(size, result.align)
		fmt.Fprintf(&text, "\t%s.Write(unsafe.Add(at, %d), r%d)\n", result.variable, size, index)
		size += result.size
	}
	return "unsafe.Pointer", fmt.Sprintf("\tat := echelon.Room(%d)\n%s\treturn at\n", size, text.String())
}

func (g *glue) text() string {
	body := g.types.variables.String() + ")\n\n" + g.functions.String()
	var text strings.Builder
	text.WriteString("// Written by the compiler of Echelon.\npackage main\n\nimport (\n\t\"unsafe\"\n\t\"echelon\"\n")
	for _, name := range sorted(g.types.imports) {
		if label := g.types.imports[name]; strings.Contains(body, label+".") {
			fmt.Fprintf(&text, "\t%s %q\n", label, name)
		}
	}
	text.WriteString(")\n\nvar (\n\t_ unsafe.Pointer\n\t_ = echelon.Begin\n")
	return text.String() + body
}
