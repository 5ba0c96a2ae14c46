package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// levels turn the compiler's optimisations off where it is to be quick, and inlining where it is to be small.
var levels = map[string][]string{"none": nil, "speed": nil, "size": {"-l"}}

func (j *job) tool(name string) string { return filepath.Join(j.root, "bin", name) }

// compile makes an archive of one package.
func (j *job) compile(unit *unit, files []string, libraries *libraries) ([]string, error) {
	config := filepath.Join(j.work, "importcfg")
	if err := libraries.config(config); err != nil {
		return nil, err
	}
	name := unit.path
	if unit.main {
		name = "main"
	}
	unit.archive = filepath.Join(j.work, strings.ReplaceAll(unit.path, "/", "-")+suffix)
	arguments := []string{
		"-p", name, "-o", unit.archive, "-pack", "-complete", "-e", "-c=2", "-lang=" + goVersion,
		"-trimpath", j.sources + "=>;" + j.work + "=>", "-importcfg", config,
	}
	arguments = append(arguments, levels[j.optimize]...)
	problems, err := j.run("compile", append(arguments, files...))
	if !unit.main {
		libraries.archives[unit.path] = unit.archive
	}
	return problems, err
}

func (j *job) link(main *unit, libraries *libraries) ([]string, error) {
	config := filepath.Join(j.work, "importcfg")
	if err := libraries.config(config); err != nil {
		return nil, err
	}
	arguments := []string{"-importcfg", config, "-buildmode=c-shared", "-buildid=", "-w", "-o", j.output}
	if !j.names {
		arguments = append(arguments, "-s")
	}
	return j.run("link", append(arguments, main.archive))
}

// run returns what a tool says when it fails.
func (j *job) run(name string, arguments []string) ([]string, error) {
	var output bytes.Buffer
	command := exec.Command(j.tool(name), arguments...)
	command.Dir = j.work
	command.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	command.Stdout, command.Stderr = &output, &output
	err := command.Run()
	text := strings.ReplaceAll(output.String(), "\n\t", " ")
	text = strings.ReplaceAll(text, j.sources+"/", "")
	if err == nil {
		return nil, nil
	}
	var ended *exec.ExitError
	if !errors.As(err, &ended) {
		return nil, err
	}
	problems := strings.FieldsFunc(text, func(letter rune) bool { return letter == '\n' })
	if len(problems) == 0 {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return problems, nil
}
