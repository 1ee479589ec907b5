package hindcast_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A tree is the repository as the laws see it: every text file, and every Go
// file of the root module parsed whatever its build tags.
type tree struct {
	fset  *token.FileSet
	texts []textFile
	gos   []goFile
}

type textFile struct {
	path string // slash-separated, below the root
	src  []byte
}

type goFile struct {
	textFile
	pkg  string // directory below the root, "" for the root itself
	test bool   // the name ends in _test.go
	ast  *ast.File
}

// A finding is one violation, with the place where a reader can see it.
type finding struct {
	pos token.Position
	msg string
}

func (f finding) String() string {
	if f.pos.Line == 0 {
		return fmt.Sprintf("%s: %s", f.pos.Filename, f.msg)
	}
	return fmt.Sprintf("%s:%d: %s", f.pos.Filename, f.pos.Line, f.msg)
}

// at makes a finding about the syntax that begins at pos.
func (t *tree) at(pos token.Pos, format string, args ...any) finding {
	return finding{t.fset.Position(pos), fmt.Sprintf(format, args...)}
}

// repository is the tree under test, read once for all tests.
var repository = sync.OnceValues(func() (*tree, error) { return loadTree(os.DirFS(".")) })

// textBytesMax bounds what is read as text; larger files are data.
const textBytesMax = 4 << 20

// loadTree reads the tree below fsys. What .gitignore names is no part of it.
// Directories of another module give texts and no Go files, testdata likewise.
func loadTree(fsys fs.FS) (*tree, error) {
	t := &tree{fset: token.NewFileSet()}
	ignore, _ := fs.ReadFile(fsys, ".gitignore")
	foreign := map[string]bool{} // directories whose Go files aren't ours
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name == ".git" || name != "." && ignored(string(ignore), name) {
				return fs.SkipDir
			}
			foreign[name] = foreign[path.Dir(name)] || foreignDir(fsys, name)
			return nil
		}
		if !d.Type().IsRegular() || name == ".git" || ignored(string(ignore), name) {
			return nil
		}
		if info, err := d.Info(); err != nil || info.Size() > textBytesMax {
			return err
		}
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		return t.add(name, src, foreign[path.Dir(name)])
	})
	return t, err
}

// foreignDir reports whether the go tool passes over dir, or it is the root of
// another module.
func foreignDir(fsys fs.FS, dir string) bool {
	if dir == "." {
		return false
	}
	base := path.Base(dir)
	if base == "testdata" || base == "vendor" || base == "node_modules" || base[0] == '.' || base[0] == '_' {
		return true
	}
	_, err := fs.Stat(fsys, path.Join(dir, "go.mod"))
	return err == nil
}

// ignored knows the two forms of pattern that our .gitignore uses: "/name" for
// a path from the root and "name" for a base name, both with wildcards.
func ignored(patterns, name string) bool {
	for _, p := range strings.Fields(patterns) {
		p = strings.TrimSuffix(p, "/")
		subject := path.Base(name)
		if strings.HasPrefix(p, "/") {
			p, subject = p[1:], name
		}
		if ok, _ := path.Match(p, subject); ok {
			return true
		}
	}
	return false
}

func (t *tree) add(name string, src []byte, foreign bool) error {
	if bytes.IndexByte(src[:min(len(src), 8192)], 0) >= 0 {
		return nil // binary
	}
	text := textFile{name, src}
	t.texts = append(t.texts, text)
	if foreign || !strings.HasSuffix(name, ".go") || strings.ContainsAny(path.Base(name)[:1], "._") {
		return nil
	}
	f, err := parser.ParseFile(t.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	pkg := path.Dir(name)
	if pkg == "." {
		pkg = ""
	}
	t.gos = append(t.gos, goFile{text, pkg, strings.HasSuffix(name, "_test.go"), f})
	return nil
}

// report fails the test once for each finding.
func report(t *testing.T, findings []finding) {
	t.Helper()
	for _, f := range findings {
		t.Errorf("%s", f)
	}
}

// writeTree makes a tree on disk from a txtar-like text, "-- name --" before
// each file, and loads it: the canaries' violating sources never reach a
// directory that the go tool or the real tree sees.
func writeTree(t *testing.T, archive string) *tree {
	t.Helper()
	dir := t.TempDir()
	var name string
	var body strings.Builder
	flush := func() {
		if name == "" {
			return
		}
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(body.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(archive) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "-- "); ok && strings.HasSuffix(rest, " --") {
			flush()
			name = strings.TrimSuffix(rest, " --")
			body.Reset()
			continue
		}
		body.WriteString(line)
	}
	flush()
	tr, err := loadTree(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// wantFindings compares findings, as text, with what a canary must cause; the
// order doesn't count, nothing may be missing and nothing more may be there.
func wantFindings(t *testing.T, got []finding, want ...string) {
	t.Helper()
	open := map[string]int{}
	for _, w := range want {
		open[w]++
	}
	for _, f := range got {
		s := f.String()
		if open[s] == 0 {
			t.Errorf("not expected: %s", s)
			continue
		}
		open[s]--
	}
	for w, n := range open {
		if n > 0 {
			t.Errorf("not caught: %s", w)
		}
	}
}
