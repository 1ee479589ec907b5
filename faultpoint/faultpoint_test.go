package faultpoint

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestANilSetDoesNothing(t *testing.T) {
	var s *Set
	if s.Hit(JournalSealed) != nil || s.Buggify(JournalBacklog) || s.Died() != nil {
		t.Error("a nil Set interferes")
	}
}

func TestAnActionOfTheOtherKindIsPass(t *testing.T) {
	for _, c := range []struct {
		a    Action
		hit  error
		rare bool
	}{{Pass, nil, false}, {Fail, ErrInjected, false}, {Die, ErrDied, false}, {Take, nil, true}} {
		s := New(func(string) Action { return c.a })
		if got := s.Buggify(JournalBacklog); got != c.rare {
			t.Errorf("%v: Buggify is %v", c.a, got)
		}
		err := s.Hit(JournalSealed)
		if !errors.Is(err, c.hit) {
			t.Errorf("%v: Hit is %v", c.a, err)
		}
		var e *Error
		if c.hit != nil && (!errors.As(err, &e) || e.Point != JournalSealed || err.Error() != c.hit.Error()+" at point journal.seal.done") {
			t.Errorf("%v: %v", c.a, err)
		}
	}
	if s := fmt.Sprint(Pass, Fail, Die, Take, Action(9), Step, Rare); s != "pass fail die take action(9) step rare" {
		t.Error(s)
	}
}

func TestWhoHasDiedStaysDead(t *testing.T) {
	asked := 0
	s := New(func(name string) Action {
		asked++
		if name == JournalSealed {
			return Die
		}
		return Take
	})
	if s.Hit(JournalSealSynced) != nil || !s.Buggify(JournalBacklog) || s.Died() != nil {
		t.Fatal("dead before the death")
	}
	died := s.Hit(JournalSealed)
	if !errors.Is(died, ErrDied) || s.Hit(JournalSealSynced) != died || s.Buggify(JournalBacklog) || s.Died() != died || asked != 3 {
		t.Errorf("after %v: %v, asked %d times", died, s.Died(), asked)
	}
}

// uses finds where points are used in production code: "Hit" or "Buggify" by the
// name of the point's constant. What isn't such a constant is reported.
func uses(t *testing.T) map[string][]string {
	out := map[string][]string{}
	files := token.NewFileSet()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == "testdata" || d.Name() == "faultpoint" || strings.HasPrefix(d.Name(), ".") && d.Name() != "..") {
			if d != nil && d.IsDir() && err == nil {
				return fs.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), "faultpoint") {
			return err
		}
		f, err := parser.ParseFile(files, path, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 1 {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"Hit", "hit", "Buggify"}, method.Sel.Name) {
				return true
			}
			at := files.Position(call.Pos()).String()
			if arg, ok := call.Args[0].(*ast.SelectorExpr); ok && fmt.Sprint(arg.X) == "faultpoint" {
				out[arg.Sel.Name] = append(out[arg.Sel.Name], strings.ToUpper(method.Sel.Name[:1])+method.Sel.Name[1:])
			} else if fmt.Sprint(call.Args[0]) != "point" { // a helper's parameter
				t.Errorf("%s: %s wants a constant of package faultpoint", at, method.Sel.Name)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// constants reads the registered constants from points.go: name → value.
func constants(t *testing.T) map[string]string {
	f, err := parser.ParseFile(token.NewFileSet(), "points.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
				out[spec.Names[0].Name], _ = strconv.Unquote(lit.Value)
			}
		}
		return true
	})
	return out
}

func TestEveryPointIsRegisteredAndUsedOnce(t *testing.T) {
	used, values := uses(t), constants(t)
	byValue := map[string]Point{}
	for _, p := range Points() {
		if byValue[p.Name].Name != "" || p.Doc == "" || !strings.HasSuffix(p.Doc, ".") {
			t.Errorf("%s is listed twice, or without a sentence", p.Name)
		}
		byValue[p.Name] = p
	}
	if len(values) != len(byValue) || len(values) < 30 {
		t.Errorf("%d constants, %d points", len(values), len(byValue))
	}
	for name, value := range values {
		p, ok := byValue[value]
		want := map[Kind]string{Step: "Hit", Rare: "Buggify"}[p.Kind]
		if !ok || !slices.Equal(used[name], []string{want}) {
			t.Errorf("%s: a point of kind %v is to be used once, by %s; it is by %v", name, p.Kind, want, used[name])
		}
		delete(used, name)
	}
	if len(used) > 0 {
		t.Errorf("used and not registered: %v", used)
	}
}

// production is what a point costs where nothing is simulated; the variables keep
// the compiler from knowing.
var (
	production *Set
	sink       int
)

// BenchmarkProduction is to be read as the difference to the empty loop. It counts
// by b.N, for b.Loop keeps calls from being inlined, which is what they are.
func BenchmarkProduction(b *testing.B) {
	b.Run("empty loop", func(b *testing.B) {
		n := 0
		for i := 0; i < b.N; i++ {
			n += i ^ sink
		}
		sink = n
	})
	b.Run("hit", func(b *testing.B) {
		n := 0
		for i := 0; i < b.N; i++ {
			if production.Hit(JournalClaimed) != nil {
				n++
			}
		}
		sink = n
	})
	b.Run("buggify", func(b *testing.B) {
		n := 0
		for i := 0; i < b.N; i++ {
			if production.Buggify(JournalBacklog) {
				n++
			}
		}
		sink = n
	})
}
