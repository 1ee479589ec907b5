package hindcast_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// functionLinesMax is the line between a function and a chapter.
const functionLinesMax = 70

// longFunctions may pass functionLinesMax, each for a reason that is written
// beside it: "file.go:Name" or "file.go:Type.Name".
var longFunctions = []string{}

// wellKnownMethods have their contract in the standard library; a comment would
// repeat it.
var wellKnownMethods = strings.Fields("Error String Unwrap Len Less Swap Push Pop")

// The patterns are put together so that this file doesn't match itself.
var bannedTexts = []struct {
	pattern *regexp.Regexp
	why     string
}{
	{regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME)\b`), "unfinished work belongs into the issue tracker"},
	{regexp.MustCompile(`(?:^|[\s"'=(\x60:])/(?:wo` + `rk|ho` + `me|ro` + `ot|Us` + `ers)/`), "an absolute path of somebody's machine"},
	{regexp.MustCompile(`(?i)\bGO` + `PROXY\b|\bGO` + `NOSUM|\bGO` + `SUMDB\b|proxy\.golang` + `\.org|regi` + `stry\.npmjs|py` + `pi\.org|arti` + `factory`), "where modules come from is the machine's business"},
}

// tidyRules look at the whole tree; each returns what it finds.
var tidyRules = map[string]func(*tree) []finding{
	"formatted":           unformatted,
	"short functions":     longFunctionsIn,
	"documented":          undocumented,
	"packages documented": undocumentedPackages,
	"no sleep in tests":   sleepsInTests,
	"no banned text":      bannedTextIn,
	"licensed":            unlicensed,
}

func TestTreeIsTidy(t *testing.T) {
	tr, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	for name, rule := range tidyRules {
		t.Run(name, func(t *testing.T) { report(t, rule(tr)) })
	}
}

func unformatted(t *tree) []finding {
	var out []finding
	for _, f := range t.gos {
		var b bytes.Buffer
		if err := format.Node(&b, t.fset, f.ast); err != nil {
			out = append(out, t.at(f.ast.Package, "gofmt: %v", err))
			continue
		}
		if want := b.Bytes(); !bytes.Equal(want, f.src) {
			line := 1 + bytes.Count(f.src[:commonPrefix(want, f.src)], []byte("\n"))
			out = append(out, finding{token.Position{Filename: f.path, Line: line}, "not formatted: run gofmt -w"})
		}
	}
	return out
}

func commonPrefix(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func longFunctionsIn(t *tree) []finding {
	var out []finding
	for _, f := range t.gos {
		if f.test {
			continue
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			name := fn.Name.Name
			if r := receiver(fn); r != "" {
				name = r + "." + name
			}
			lines := t.fset.Position(fn.End()).Line - t.fset.Position(fn.Pos()).Line + 1
			if lines > functionLinesMax && !slices.Contains(longFunctions, f.path+":"+name) {
				out = append(out, t.at(fn.Pos(), "%s has %d lines, the most is %d: let the parent decide and the leaves compute", name, lines, functionLinesMax))
			}
		}
	}
	return out
}

// receiver returns the name of a method's type, or "".
func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return ""
	}
	e := fn.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

func undocumented(t *tree) []finding {
	var out []finding
	missing := func(id *ast.Ident) {
		out = append(out, t.at(id.Pos(), "exported %s has no doc comment", id.Name))
	}
	for _, f := range t.gos {
		if f.test {
			continue
		}
		for _, d := range f.ast.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				r := receiver(d)
				known := r != "" && (!token.IsExported(r) || slices.Contains(wellKnownMethods, d.Name.Name))
				if d.Name.IsExported() && d.Doc == nil && !known {
					missing(d.Name)
				}
			case *ast.GenDecl:
				undocumentedIn(d, missing)
			}
		}
	}
	return out
}

// undocumentedIn takes a comment on the group, above the name or behind it.
func undocumentedIn(d *ast.GenDecl, missing func(*ast.Ident)) {
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
				missing(s.Name)
			}
		case *ast.ValueSpec:
			for _, id := range s.Names {
				if id.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
					missing(id)
				}
			}
		}
	}
}

func undocumentedPackages(t *tree) []finding {
	first, documented := map[string]goFile{}, map[string]bool{}
	var order []string
	for _, f := range t.gos {
		if f.test {
			continue
		}
		if _, seen := first[f.pkg]; !seen {
			first[f.pkg] = f
			order = append(order, f.pkg)
		}
		documented[f.pkg] = documented[f.pkg] || f.ast.Doc != nil
	}
	var out []finding
	for _, pkg := range order {
		if f := first[pkg]; !documented[pkg] {
			out = append(out, t.at(f.ast.Package, "package %s has no package comment", f.ast.Name.Name))
		}
	}
	return out
}

func sleepsInTests(t *tree) []finding {
	var out []finding
	for _, f := range t.gos {
		if !f.test {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Sleep" {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" {
					out = append(out, t.at(s.Pos(), "time.Sleep in a test: use virtual time, testing/synctest, or wait for the condition"))
				}
			}
			return true
		})
	}
	return out
}

func bannedTextIn(t *tree) []finding {
	var out []finding
	for _, f := range t.texts {
		if path.Base(f.path) == "go.sum" || strings.Contains(f.path, "/vendor/") {
			continue
		}
		for _, b := range bannedTexts {
			for _, at := range b.pattern.FindAllIndex(f.src, -1) {
				line := 1 + bytes.Count(f.src[:at[1]], []byte("\n"))
				text := strings.TrimSpace(string(f.src[at[0]:at[1]]))
				out = append(out, finding{token.Position{Filename: f.path, Line: line}, fmt.Sprintf("%q: %s", text, b.why)})
			}
		}
	}
	return out
}

func unlicensed(t *tree) []finding {
	for _, f := range t.texts {
		if f.path == "LICENSE" && bytes.Contains(f.src, []byte("Apache License")) {
			return nil
		}
	}
	return []finding{{token.Position{Filename: "LICENSE"}, "the Apache License 2.0 is missing"}}
}
