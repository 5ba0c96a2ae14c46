package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const moduleName = "guest"

// unit is one package of the job.
type unit struct {
	path    string
	main    bool
	paths   []string
	files   []*ast.File
	imports map[string]token.Pos
	archive string
}

type sources struct {
	files    *token.FileSet
	units    map[string]*unit
	problems []string
}

// read parses the sources; those in the entry's folder are the main package.
func (j *job) read() (*sources, error) {
	found := &sources{files: token.NewFileSet(), units: map[string]*unit{}}
	home := path.Dir(filepath.ToSlash(j.entry))
	name := j.module(home)
	err := filepath.WalkDir(j.sources, func(place string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(place, ".go") || strings.HasSuffix(place, "_test.go") {
			return err
		}
		relative, err := filepath.Rel(j.sources, place)
		if err != nil {
			return err
		}
		relative = filepath.ToSlash(relative)
		text, err := os.ReadFile(place)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(found.files, relative, text, parser.ParseComments|parser.SkipObjectResolution|parser.AllErrors)
		if err != nil {
			found.refuse(err)
			return nil
		}
		found.add(file, place, importPath(name, home, path.Dir(relative)), path.Dir(relative) == home)
		return nil
	})
	return found, err
}

// module reads the name of the module of go.mod, if there is one.
func (j *job) module(home string) string {
	text, _ := os.ReadFile(filepath.Join(j.sources, home, "go.mod"))
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) == 2 && words[0] == "module" {
			return words[1]
		}
	}
	return moduleName
}

func importPath(module, home, folder string) string {
	if relative, err := filepath.Rel(home, folder); err == nil {
		return path.Join(module, filepath.ToSlash(relative))
	}
	return path.Join(module, folder)
}

func (s *sources) refuse(err error) {
	var list scanner.ErrorList
	if !errors.As(err, &list) {
		s.problems = append(s.problems, err.Error())
		return
	}
	for _, each := range list {
		s.problems = append(s.problems, each.Error())
	}
}

func (s *sources) problem(at token.Pos, format string, values ...any) {
	s.problems = append(s.problems, said(s.files, at, format, values...))
}

func said(files *token.FileSet, at token.Pos, format string, values ...any) string {
	return fmt.Sprintf("%s: %s", files.PositionFor(at, false), fmt.Sprintf(format, values...))
}

func (s *sources) add(file *ast.File, place, importPath string, main bool) {
	if main && file.Name.Name != "main" {
		s.problem(file.Name.Pos(), "a guest is a package main, not %s", file.Name.Name)
	}
	found := s.units[importPath]
	if found == nil {
		found = &unit{path: importPath, main: main, imports: map[string]token.Pos{}}
		s.units[importPath] = found
	}
	found.paths = append(found.paths, place)
	found.files = append(found.files, file)
	for _, group := range file.Comments {
		for _, comment := range group.List {
			if strings.HasPrefix(comment.Text, "//go:linkname") {
				s.problem(comment.Pos(), "a guest cannot link to names of other packages; import the package")
			}
		}
	}
	for _, spec := range file.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err == nil {
			found.imports[name] = spec.Pos()
		}
	}
}

// order returns the main package and those it imports, each after what it imports.
func (s *sources) order() []*unit {
	var made []*unit
	var open []string
	done := map[string]bool{}
	var visit func(found *unit)
	visit = func(found *unit) {
		open = append(open, found.path)
		for _, name := range sorted(found.imports) {
			next := s.units[name]
			switch at := slices.Index(open, name); {
			case next == nil:
			case at >= 0:
				s.problem(found.imports[name], "import cycle not allowed: %s", strings.Join(append(open[at:], name), " imports "))
			case !done[name]:
				visit(next)
			}
		}
		open = open[:len(open)-1]
		done[found.path] = true
		made = append(made, found)
	}
	for _, found := range s.units {
		if found.main {
			visit(found)
		}
	}
	return made
}

func sorted[V any](found map[string]V) []string {
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
