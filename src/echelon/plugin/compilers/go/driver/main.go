// The driver compiles the Go sources of a job to a module, with the compiler and the linker that lie beside it.
//
// It reads SRC/**.go, writes around each function with "//export NAME" one that the host can call, and prints what is
// wrong as FILE:LINE:COLUMN: MESSAGE. A package of the job is a folder; nothing else is read but the libraries.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	var job job
	flag.StringVar(&job.root, "root", "", "the folder of the toolchain")
	flag.StringVar(&job.sources, "src", "", "the folder of the sources")
	flag.StringVar(&job.work, "work", "", "a folder to write to")
	flag.StringVar(&job.entry, "entry", "", "the source whose folder is the main package")
	flag.StringVar(&job.output, "o", "", "the module to write")
	flag.StringVar(&job.optimize, "optimize", "none", "none, speed or size")
	flag.BoolVar(&job.names, "names", false, "keep the names of functions")
	flag.Parse()
	problems, err := job.build()
	for _, problem := range problems {
		fmt.Fprintln(os.Stderr, problem)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if err != nil || len(problems) > 0 {
		os.Exit(1)
	}
}

type job struct {
	root, sources, work, entry, output, optimize string
	names                                       bool
}

func (j *job) build() ([]string, error) {
	sources, err := j.read()
	if err != nil || len(sources.problems) > 0 {
		return sources.problems, err
	}
	order := sources.order()
	if len(sources.problems) > 0 {
		return sources.problems, nil
	}
	libraries, err := readLibraries(j.root)
	if err != nil {
		return nil, err
	}
	for _, unit := range order {
		checked := check(sources.files, unit, libraries)
		if len(checked.problems) > 0 {
			return checked.problems, nil
		}
		files := unit.paths
		if unit.main {
			glue, problems := exports(sources.files, unit, checked.types)
			if len(problems) > 0 {
				return problems, nil
			}
			place := filepath.Join(j.work, "echelon_exports.go")
			if err := os.WriteFile(place, []byte(glue), 0o600); err != nil {
				return nil, err
			}
			files = append(files, place)
		}
		if problems, err := j.compile(unit, files, libraries); err != nil || len(problems) > 0 {
			return problems, err
		}
	}
	return j.link(order[len(order)-1], libraries)
}
