package hindcast_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const modulePath = "hindcast.dev"

// importLaw says who may import whom. A package imports only packages of rows
// above its own. Within a row it imports none, but for its own family (the same
// first path element), and of that only what stands to its left: so a package
// and its subpackages go in one direction, and the text says which. A package
// that isn't here doesn't exist: no package is a drawer. "x/*" is every
// directory in x, and they don't import each other.
//
// Test files, in-package or external, may import their own row as well, and the
// test modules below. The root's tests may import anything.
//
// One departure from the first design: event and causal stand a step above hlc
// and faultpoint, because they speak in Timestamps. One addition: recording,
// the directory format of a recording and how it is pulled. And
// bench, with the peers measured against, is a module of its own, outside.
const importLaw = `
0   hlc faultpoint termtext doctest
0+  event causal
1   baggage machine vfs metrics prompt guard
2   journal/record journal/segment journal/checkpoint journal machine/state rql/syntax
3   stepper history history/historytest recording transport rql/plan rql/complete rql/lattice
4   loop replay live rql rql/exec check align tracepoint
5   node sim recorder recorder/hchttp recorder/hcgrpc recorder/hcotel importer/* export/* sonify
6   debug/timeline debug/motif debug collect monitor
7   debug/web debug/tui
8   app
9   examples/* examples/raftkv
10  cmd/hindcast
`

// moduleNames are the modules that may be used at all, by the names that
// moduleLaw uses. Those of the row "tests" are for test files everywhere.
const moduleNames = `
x/sys       golang.org/x/sys
x/term      golang.org/x/term
cbor        github.com/fxamacker/cbor/v2
compress    github.com/klauspost/compress
liner       github.com/peterh/liner
cobra       github.com/spf13/cobra
rapid       pgregory.net/rapid
chromedp    github.com/chromedp
goleak      go.uber.org/goleak
go-internal github.com/rogpeppe/go-internal
x/tools     golang.org/x/tools
porcupine   github.com/anishathalye/porcupine
raft        go.etcd.io/raft/v3
protobuf    google.golang.org/protobuf
otelproto   go.opentelemetry.io/proto/otlp
otel        go.opentelemetry.io/otel
grpc        google.golang.org/grpc
parquet     github.com/parquet-go/parquet-go
nats        github.com/nats-io
bubbletea   charm.land/bubbletea/v2
`

// moduleLaw says which package may use which module beyond the standard
// library; one that isn't here may use none. A module that pulls in more than a
// few packages belongs to the one package named for it.
const moduleLaw = `
tests           rapid goleak go-internal x/tools x/sys chromedp
vfs             x/sys
metrics         x/sys
prompt          liner x/sys
machine         cbor
recording       compress
journal         x/sys compress cbor
journal/segment x/sys compress
machine/state   cbor
stepper         cbor
history         cbor compress
history/historytest rapid
transport       cbor
check           porcupine
node            compress
recorder/hcgrpc grpc
recorder/hcotel otel
importer/*      otelproto
export/*        parquet
debug           x/term
collect         nats
debug/tui       bubbletea x/term
app             cobra x/term
examples/raftkv raft protobuf
cmd/hindcast    cobra x/term
`

// purityLaw says what may not occur where. A class binds the non-test files of
// its packages (or single files, by name): no import of the listed packages or
// of anything below them, no use of the listed functions, and, with "go", no go
// statement. What is pure gives the same answer for ever and needs no mock.
const purityLaw = `
class    pure
packages hlc termtext event causal baggage machine journal/record stepper rql/syntax rql/plan rql/complete rql/lattice rql check history/merge.go
imports  os net sync math/rand crypto/rand hash/maphash syscall unsafe log runtime golang.org/x/sys
uses     time.Now time.Since time.Until time.Sleep time.After time.AfterFunc time.Tick time.NewTimer time.NewTicker
uses     context.WithTimeout context.WithDeadline fmt.Print fmt.Printf fmt.Println
go       banned

class    driven
packages loop sim/adapter.go sim/atlas.go sim/client.go sim/clock.go sim/coverage.go sim/disk.go sim/draw.go sim/fault.go sim/judge.go sim/nemesis.go sim/net.go sim/node.go sim/plan.go sim/points.go sim/queue.go sim/run.go sim/schedule.go sim/shadow.go sim/subject.go sim/weather.go sim/world.go
imports  net math/rand crypto/rand hash/maphash syscall unsafe
uses     time.Now time.Since time.Until time.Sleep time.After time.AfterFunc time.Tick time.NewTimer time.NewTicker
go       banned
`

// unsafeLaw names the packages that may import unsafe: shared memory, mapped
// files, and the accessor plans that read fields at full speed.
const unsafeLaw = `metrics vfs machine/state`

// laws is the text above, parsed.
type laws struct {
	places  map[string]place    // by package or pattern
	modules map[string][]string // package or pattern → module paths; "tests" too
	classes []purityClass
	unsafe  []string
}

// A place is where a package stands in importLaw.
type place struct {
	label    string // the row's name, for messages
	row, col int
}

type purityClass struct {
	name     string
	packages []string // packages, or files
	imports  []string
	uses     []string
	noGo     bool
}

func parseLaws() (*laws, error) {
	l := &laws{places: map[string]place{}, modules: map[string][]string{}, unsafe: strings.Fields(unsafeLaw)}
	row := 0
	for _, words := range table(importLaw) {
		for col, pkg := range words[1:] {
			if _, twice := l.places[pkg]; twice {
				return nil, fmt.Errorf("importLaw lists %s twice", pkg)
			}
			l.places[pkg] = place{words[0], row, col}
		}
		row++
	}
	paths := map[string]string{}
	for _, words := range table(moduleNames) {
		paths[words[0]] = words[1]
	}
	for _, words := range table(moduleLaw) {
		if _, ok := l.places[words[0]]; !ok && words[0] != "tests" {
			return nil, fmt.Errorf("moduleLaw: %s is not in importLaw", words[0])
		}
		for _, name := range words[1:] {
			if paths[name] == "" {
				return nil, fmt.Errorf("moduleLaw: module %s is not in moduleNames", name)
			}
			l.modules[words[0]] = append(l.modules[words[0]], paths[name])
		}
	}
	return l, l.parsePurity()
}

func (l *laws) parsePurity() error {
	for _, words := range table(purityLaw) {
		if words[0] == "class" {
			l.classes = append(l.classes, purityClass{name: words[1]})
			continue
		}
		c := &l.classes[len(l.classes)-1]
		switch words[0] {
		case "packages":
			c.packages = append(c.packages, words[1:]...)
		case "imports":
			c.imports = append(c.imports, words[1:]...)
		case "uses":
			c.uses = append(c.uses, words[1:]...)
		case "go":
			c.noGo = true
		default:
			return fmt.Errorf("purityLaw: unknown word %q", words[0])
		}
	}
	return nil
}

// table splits a law into lines of words and drops empty lines.
func table(text string) [][]string {
	var rows [][]string
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) > 0 {
			rows = append(rows, words)
		}
	}
	return rows
}

// place finds a package's place: its own entry, or that of its parent's "/*".
func (l *laws) place(pkg string) (p place, entry string, ok bool) {
	if p, ok := l.places[pkg]; ok {
		return p, pkg, true
	}
	entry = path.Dir(pkg) + "/*"
	p, ok = l.places[entry]
	return p, entry, ok
}

// check returns every violation in the tree, in file order.
func (l *laws) check(t *tree) []finding {
	var out []finding
	unlisted := map[string]bool{}
	for _, f := range t.gos {
		if f.pkg == "" {
			if !f.test && len(f.ast.Imports) > 0 {
				out = append(out, t.at(f.ast.Imports[0].Pos(), "the root package holds documentation and tests only: it imports nothing"))
			}
			continue
		}
		if _, _, ok := l.place(f.pkg); !ok {
			if !unlisted[f.pkg] {
				out = append(out, t.at(f.ast.Package, "package %s has no level: give it a place in importLaw (layers_test.go), or put the code where it belongs", f.pkg))
			}
			unlisted[f.pkg] = true
			continue
		}
		for _, spec := range f.ast.Imports {
			if msg := l.checkImport(f, spec); msg != "" {
				out = append(out, t.at(spec.Pos(), "%s", msg))
			}
		}
		out = append(out, l.checkPurity(t, f)...)
	}
	return append(out, l.checkFileEntries(t)...)
}

// checkImport returns what is wrong with one import, or "".
func (l *laws) checkImport(f goFile, spec *ast.ImportSpec) string {
	target, _ := strconv.Unquote(spec.Path.Value)
	if spec.Name != nil && spec.Name.Name == "." {
		return fmt.Sprintf("dot import of %s: a reader must see where a name comes from", target)
	}
	first, _, _ := strings.Cut(target, "/")
	switch {
	case target == "C":
		return "cgo: the tree builds on a machine with only Go"
	case target == "unsafe":
		if !f.test && !slices.Contains(l.unsafe, f.pkg) {
			return fmt.Sprintf("%s imports unsafe: only %s may", f.pkg, strings.Join(l.unsafe, ", "))
		}
		return ""
	case target == modulePath:
		return fmt.Sprintf("%s imports the root package, which holds no code", f.pkg)
	case first == modulePath:
		return l.checkLevel(f, strings.TrimPrefix(target, modulePath+"/"))
	case strings.Contains(first, "."):
		return l.checkModule(f, target)
	}
	return ""
}

func (l *laws) checkLevel(f goFile, target string) string {
	from, entry, _ := l.place(f.pkg)
	to, targetEntry, ok := l.place(target)
	switch {
	case !ok:
		return fmt.Sprintf("%s imports %s, which has no level in importLaw", f.pkg, target)
	case to.row < from.row, f.test && to.row == from.row, f.pkg == target:
		return ""
	case to.row > from.row:
		return fmt.Sprintf("%s (level %s) imports %s (level %s): a package imports only lower levels", f.pkg, from.label, target, to.label)
	case family(f.pkg) != family(target) || entry == targetEntry:
		return fmt.Sprintf("%s imports %s of the same level %s: a package imports only lower levels", f.pkg, target, from.label)
	case to.col > from.col:
		return fmt.Sprintf("%s imports %s: within the family %s imports go from right to left in importLaw", f.pkg, target, family(target))
	}
	return ""
}

func family(pkg string) string {
	first, _, _ := strings.Cut(pkg, "/")
	return first
}

func (l *laws) checkModule(f goFile, target string) string {
	_, entry, _ := l.place(f.pkg)
	allowed := l.modules[entry]
	if f.test {
		allowed = append(slices.Clone(allowed), l.modules["tests"]...)
	}
	if slices.ContainsFunc(allowed, func(mod string) bool { return below(target, mod) }) {
		return ""
	}
	return fmt.Sprintf("%s imports %s: moduleLaw (layers_test.go) doesn't allow it there", f.pkg, target)
}

// below reports whether an import path is base or a package under it.
func below(target, base string) bool {
	return target == base || strings.HasPrefix(target, base+"/")
}

func (l *laws) checkPurity(t *tree, f goFile) []finding {
	if f.test {
		return nil
	}
	var out []finding
	for _, c := range l.classes {
		if slices.Contains(c.packages, f.pkg) || slices.Contains(c.packages, f.path) {
			out = append(out, c.check(t, f)...)
		}
	}
	return out
}

func (c *purityClass) check(t *tree, f goFile) []finding {
	var out []finding
	names := map[string]string{} // local name → import path
	for _, spec := range f.ast.Imports {
		target, _ := strconv.Unquote(spec.Path.Value)
		name := path.Base(target)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = target
		// unsafe has a law of its own and is reported there.
		if target != "unsafe" && slices.ContainsFunc(c.imports, func(banned string) bool { return below(target, banned) }) {
			out = append(out, t.at(spec.Pos(), "%s is %s: it may not import %s", f.subject(c), c.name, target))
		}
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			if c.noGo {
				out = append(out, t.at(n.Pos(), "%s is %s: it may not start a goroutine", f.subject(c), c.name))
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && names[x.Name] != "" {
				if use := names[x.Name] + "." + n.Sel.Name; slices.Contains(c.uses, use) {
					out = append(out, t.at(n.Pos(), "%s is %s: it may not use %s", f.subject(c), c.name, use))
				}
			}
		}
		return true
	})
	return out
}

// subject is what a class binds: the package, or the single file.
func (f goFile) subject(c *purityClass) string {
	if slices.Contains(c.packages, f.path) {
		return f.path
	}
	return f.pkg
}

// checkFileEntries finds code that has left a file named in purityLaw: a
// declaration that carries the file's name while the file itself is gone. A law
// that binds nothing would pass unseen.
func (l *laws) checkFileEntries(t *tree) []finding {
	var out []finding
	for _, c := range l.classes {
		for _, name := range c.packages {
			there := slices.ContainsFunc(t.gos, func(f goFile) bool { return f.path == name })
			noun, isFile := strings.CutSuffix(path.Base(name), ".go")
			if !isFile || there {
				continue
			}
			for _, f := range t.gos {
				if f.pkg == path.Dir(name) && !f.test {
					out = append(out, strays(t, f, noun, name)...)
				}
			}
		}
	}
	return out
}

// strays finds declarations in f that begin with noun.
func strays(t *tree, f goFile, noun, file string) []finding {
	var out []finding
	for _, d := range f.ast.Decls {
		var id *ast.Ident
		switch d := d.(type) {
		case *ast.FuncDecl:
			id = d.Name
		case *ast.GenDecl:
			if len(d.Specs) == 1 {
				if s, ok := d.Specs[0].(*ast.TypeSpec); ok {
					id = s.Name
				}
			}
		}
		if id != nil && strings.HasPrefix(strings.ToLower(id.Name), noun) {
			out = append(out, t.at(id.Pos(), "%s belongs into %s, which purityLaw names and which is missing", id.Name, file))
		}
	}
	return out
}

func TestTreeObeysTheLayers(t *testing.T) {
	l, err := parseLaws()
	if err != nil {
		t.Fatal(err)
	}
	tr, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	if len(tr.gos) < 5 {
		t.Fatalf("only %d Go files found: is the test run in the root directory?", len(tr.gos))
	}
	report(t, l.check(tr))
}

// go.mod must not carry a module that no law allows: it would be compiled by
// nobody and trusted by everybody.
func TestEveryRequiredModuleIsInTheLaw(t *testing.T) {
	mod, err := fs.ReadFile(os.DirFS("."), "go.mod")
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]bool{}
	for _, words := range table(moduleNames) {
		paths[words[1]] = true
	}
	report(t, strayModules(string(mod), paths))
}

func TestEveryRequiredModuleIsInTheLawCanary(t *testing.T) {
	mod := "module x\n\nrequire (\n\tgood.org/a v1.0.0\n\tbad.org/b v1.0.0\n\tbad.org/c v1.0.0 // indirect\n)\nrequire bad.org/d v1.0.0\n"
	wantFindings(t, strayModules(mod, map[string]bool{"good.org/a": true}),
		"go.mod:5: module bad.org/b is required and not in moduleNames (layers_test.go)",
		"go.mod:8: module bad.org/d is required and not in moduleNames (layers_test.go)")
}

// strayModules finds direct requirements of a go.mod that aren't in paths.
func strayModules(mod string, paths map[string]bool) []finding {
	var out []finding
	n := 0
	for line := range strings.Lines(mod) {
		n++
		words := strings.Fields(strings.TrimPrefix(line, "require "))
		if len(words) < 2 || !strings.HasPrefix(words[1], "v") || strings.Contains(line, "// indirect") {
			continue
		}
		if !slices.ContainsFunc(slices.Collect(maps.Keys(paths)), func(p string) bool { return below(words[0], p) }) {
			out = append(out, finding{token.Position{Filename: "go.mod", Line: n},
				fmt.Sprintf("module %s is required and not in moduleNames (layers_test.go)", words[0])})
		}
	}
	return out
}
