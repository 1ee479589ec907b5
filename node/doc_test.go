package node

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hindcast.dev/doctest"
)

var rewrite = flag.Bool("rewrite", false, "write docs/admin.md anew where it is made from code")

const docFile = "../docs/admin.md"

func readDoc(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// docSection is a section of docs/admin.md that is made from code.
func docSection(t *testing.T, name string) string {
	t.Helper()
	m := regexp.MustCompile(`(?s)<!-- ` + name + `: [^\n]*-->\n(.*?)<!-- end -->\n`).FindStringSubmatch(readDoc(t))
	if m == nil {
		t.Fatalf("%s has no section %s", docFile, name)
	}
	return m[1]
}

// wantSection compares a section with what it is made from.
func wantSection(t *testing.T, name, want string) {
	t.Helper()
	doctest.Section(t, docFile, "<!-- "+name, want, *rewrite)
}

func TestTheDocumentedRoutesAreThose(t *testing.T) {
	code := func(s string) string {
		if s == "" {
			return ""
		}
		return "`" + s + "`"
	}
	var table, curl strings.Builder
	fmt.Fprintf(&table, "| request | scope | body | answer | what it does |\n|---|---|---|---|---|\n")
	fmt.Fprintf(&curl, "```\n")
	for _, r := range routes() {
		answer := code(r.answer)
		switch {
		case r.files != nil:
			answer = "the file"
		case r.stream != nil:
			answer = "frames"
		case answer == "":
			answer = "below"
		}
		fmt.Fprintf(&table, "| `%s %s` | %s | %s | %s | %s |\n", r.method, r.path, r.scope, code(r.body), answer, r.what)
		fmt.Fprintln(&curl, r.curl())
	}
	fmt.Fprintf(&curl, "```\n")
	wantSection(t, "routes", table.String())
	wantSection(t, "examples", curl.String())
}

// curl is the route as a command line.
func (r *route) curl() string {
	url := "$A" + r.path
	switch {
	case r.files != nil:
		return "curl -O " + url
	case r.stream != nil:
		return "curl -o FILE " + url
	case r.body != "":
		return "curl -d '" + r.body + "' " + url
	case r.method != "GET":
		return "curl -X " + r.method + " " + url
	}
	if r.serve != nil {
		return "curl -N -o history.frames " + url
	}
	return "curl " + url
}

func TestTheDocumentedExitCodesAreThose(t *testing.T) {
	var table strings.Builder
	fmt.Fprintf(&table, "| code | | |\n|---|---|---|\n")
	for _, e := range ExitCodes() {
		fmt.Fprintf(&table, "| %d | %s | %s |\n", e.Code, e.Name, e.Meaning)
	}
	wantSection(t, "exits", table.String())
}

// Every example is carried out, and answers what is shown.
func TestTheDocumentedExamplesWork(t *testing.T) {
	n := cluster(t, []string{"n1", "n2"}, func(o *Options) { o.Admin = "127.0.0.1:0" })["n1"]
	id := "" // that was answered with last
	for _, r := range routes() {
		if r.what == "" || r.scope == "" || (r.handle == nil) == (r.files == nil && r.serve == nil && r.stream == nil) {
			t.Errorf("%s %s: no description, scope or handler", r.method, r.path)
		}
		url := "http://" + n.AdminAddr() + r.path
		if r.serve != nil { // it goes on until the node stops
			if l := mustFollow(t, n, ""); l.hello.Node != "n1" {
				t.Errorf("%s begins with %+v", r.path, l.hello)
			}
			continue
		}
		if r.files != nil {
			if status, _, _ := ask(t, r.method, strings.Replace(url, "FILE", "nothing", 1), ""); status != 404 {
				t.Errorf("%s: status %d for a file that isn't there", r.path, status)
			}
			continue
		}
		if url = strings.Replace(url, "/ID", "/"+id, 1); r.stream != nil {
			if status, _, _ := ask(t, r.method, url, r.body); status != 200 {
				t.Errorf("%s: status %d", r.path, status)
			}
			continue
		}
		status, got, _ := ask(t, r.method, url, r.body)
		if status != 200 {
			t.Errorf("%s %s %s: status %d, %v", r.method, r.path, r.body, status, got)
		}
		if said, ok := got["id"].(string); ok {
			id = said
		}
		if r.answer == "" {
			continue
		}
		var want map[string]any
		if err := json.Unmarshal([]byte(r.answer), &want); err != nil {
			t.Errorf("%s %s: the answer shown isn't JSON: %v", r.method, r.path, err)
		}
		if a, b := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(a, b) {
			t.Errorf("%s %s answers with %v, shown is %v", r.method, r.path, a, b)
		}
	}
	if err := n.Wait(); err != nil { // the last was stop
		t.Fatal(err)
	}
}

func TestTheDocumentedFaultsWork(t *testing.T) {
	n := cluster(t, []string{"n1", "n2"}, func(o *Options) { o.Admin = "127.0.0.1:0" })["n1"]
	bodies := regexp.MustCompile(`(?m)^curl -d '(.*)' \$A/v1/fault +#`).FindAllStringSubmatch(readDoc(t), -1)
	if len(bodies) != 5 {
		t.Fatalf("%d faults are shown, of 5 kinds", len(bodies))
	}
	for _, b := range bodies {
		if status, got, _ := ask(t, "POST", "http://"+n.AdminAddr()+"/v1/fault", b[1]); status != 200 {
			t.Errorf("%s: status %d, %v", b[1], status, got)
		}
	}
}

func TestTheDocumentedStatusHasTheKeysOfAStatus(t *testing.T) {
	nodes := cluster(t, []string{"n1", "n2"}, func(o *Options) { o.Admin = "127.0.0.1:0" })
	n := nodes["n1"]
	total(t, n, Pass{To: "n2", Key: "a", By: 1})
	eventually(t, n, "links in", func() bool { return n.Status().Network.Peers["n2"].Inbound })
	b, err := json.MarshalIndent(n.Status(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	section := docSection(t, "status")
	shown := strings.TrimSuffix(strings.TrimPrefix(section, "```json\n"), "```\n")
	if got, want := keys(t, []byte(shown)), keys(t, b); !slices.Equal(got, want) {
		wantSection(t, "status", "```json\n"+string(b)+"\n```\n")
	}
	for _, key := range keys(t, b) {
		if name := key[strings.LastIndexByte(key, '.')+1:]; !regexp.MustCompile(`^[a-z][A-Za-z0-9]*$`).MatchString(name) {
			t.Errorf("key %s isn't in lowerCamel", key)
		}
	}
	doc := readDoc(t)
	for _, name := range optional(reflect.TypeFor[Status]()) {
		if !strings.Contains(doc, "`"+name+"`") {
			t.Errorf("%s doesn't mention the key `%s` of a status", docFile, name)
		}
	}
}

// keys are the paths of all keys of a JSON object, but for those that come and go.
func keys(t *testing.T, b []byte) (out []string) {
	t.Helper()
	var v map[string]any
	if len(b) > 0 && json.Unmarshal(b, &v) != nil {
		t.Fatalf("no JSON object: %s", b)
	}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		m, _ := v.(map[string]any)
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if k == "reason" {
				continue
			}
			out = append(out, at+k)
			if k != "dropped" && k != "errors" {
				walk(at+k+".", m[k])
			}
		}
	}
	walk("", v)
	return out
}

// optional are the keys that a type's JSON may lack.
func optional(t reflect.Type) (out []string) {
	switch t.Kind() {
	case reflect.Map, reflect.Slice, reflect.Pointer:
		return optional(t.Elem())
	case reflect.Struct:
	default:
		return nil
	}
	for f := range t.Fields() {
		if name, omit, _ := strings.Cut(f.Tag.Get("json"), ","); omit != "" {
			out = append(out, name)
		}
		out = append(out, optional(f.Type)...)
	}
	return out
}
