package main

import (
	"errors"
	"go/ast"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	folder  = "lib"
	suffix  = ".a"
	kitPath = "echelon"
	// goVersion is what sources are written in.
	goVersion = "go1.27"
)

// libraries are the packages that a guest may import: the standard library's, the kit's and those compiled so far.
type libraries struct {
	archives map[string]string
	known    types.Importer
	files    *token.FileSet
}

func readLibraries(root string) (*libraries, error) {
	found := &libraries{archives: map[string]string{}, files: token.NewFileSet()}
	base := filepath.Join(root, folder)
	err := filepath.WalkDir(base, func(place string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(place, suffix) {
			name, _ := filepath.Rel(base, strings.TrimSuffix(place, suffix))
			found.archives[filepath.ToSlash(name)] = place
		}
		return err
	})
	found.known = importer.ForCompiler(found.files, "gc", func(name string) (io.ReadCloser, error) {
		archive := found.archives[name]
		if archive == "" {
			return nil, errors.New("it is not here")
		}
		return os.Open(archive)
	})
	return found, err
}

// config writes down for the compiler and the linker where each package lies.
func (l *libraries) config(place string) error {
	var text strings.Builder
	for _, name := range sorted(l.archives) {
		text.WriteString("packagefile " + name + "=" + l.archives[name] + "\n")
	}
	return os.WriteFile(place, []byte(text.String()), 0o600)
}

// lacking says why a package cannot be imported, "" when it can.
func (l *libraries) lacking(name string) string {
	first, _, _ := strings.Cut(name, "/")
	switch {
	case name == "unsafe":
		return ""
	case name == "C":
		return "a guest has no cgo; write the function in Go"
	case first == "internal" || first == "vendor" || strings.Contains(name, "/internal/") || strings.HasSuffix(name, "/internal"):
		return "use of internal package " + name + " not allowed"
	case first == "net" && name != "net/url" && name != "net/netip" || name == "crypto/tls":
		return "package " + name + ` is not here: a guest has no sockets; use echelon.Fetch`
	case name == "plugin" || name == "os/exec" || name == "os/signal":
		return "package " + name + " is not here: a guest has no processes"
	case l.archives[name] != "":
		return ""
	case strings.HasPrefix(name, "."):
		return `a package of the source is imported by the module's name, as in "` + moduleName + "/" + filepath.Base(name) + `"`
	}
	return "package " + name + ` is not here: a guest has the standard library, "echelon" and the packages of its own source`
}

type checked struct {
	types    *types.Package
	problems []string
}

// check finds what is wrong in the types of a package.
func check(files *token.FileSet, unit *unit, libraries *libraries) checked {
	var found checked
	lacking := map[string]bool{}
	for _, name := range sorted(unit.imports) {
		if why := libraries.lacking(name); why != "" {
			lacking[name] = true
			found.problems = append(found.problems, said(files, unit.imports[name], "%s", why))
		}
	}
	if len(lacking) > 0 {
		return found
	}
	config := types.Config{
		Importer:  libraries.known,
		GoVersion: goVersion,
		Sizes:     types.SizesFor("gc", "wasm"),
		Error: func(err error) {
			var problem types.Error
			if errors.As(err, &problem) && len(found.problems) < 100 {
				message := strings.ReplaceAll(problem.Msg, "\n\t", " ")
				if strings.HasPrefix(message, " ") && len(found.problems) > 0 { // more of the one before
					found.problems[len(found.problems)-1] += message
					return
				}
				found.problems = append(found.problems, said(files, problem.Pos, "%s", message))
			}
		},
	}
	found.types, _ = config.Check(unit.path, files, unit.files, nil)
	return found
}

// directive returns what follows a comment such as "//export " above a function, "" when there is none.
func directive(function *ast.FuncDecl, name string) (text string, at token.Pos) {
	if function.Doc == nil {
		return "", token.NoPos
	}
	for _, comment := range function.Doc.List {
		if rest, found := strings.CutPrefix(comment.Text, "//"+name+" "); found {
			return strings.TrimSpace(rest), comment.Pos()
		}
	}
	return "", token.NoPos
}
