package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// pageFiles are the page as it is served: there is no build step.
//
//go:embed page
var pageFiles embed.FS

// pageTypes are the files of the page that a browser asks for; what has another
// ending (declarations, settings of tools, licences) isn't served.
var pageTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".svg":  "image/svg+xml",
	".png":  "image/png",
	".txt":  "text/plain; charset=utf-8",
}

// A pageFile is a file of the page.
type pageFile struct {
	kind, tag string // its type, and the ETag
	content   []byte
}

// readPage reads the files of the page by their paths in a URL; index.html is "".
func readPage(files fs.FS) (map[string]pageFile, error) {
	page := map[string]pageFile{}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		kind := pageTypes[path.Ext(name)]
		if err != nil || d.IsDir() || kind == "" {
			return err
		}
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(b)
		page[strings.TrimSuffix(name, "index.html")] = pageFile{kind, `"` + hex.EncodeToString(sum[:8]) + `"`, b}
		return nil
	})
	return page, err
}

// embedded is the page that is built in.
func embedded() map[string]pageFile {
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err) // the folder has another name than the directive above
	}
	page, err := readPage(files)
	if err != nil {
		panic(err) // what is built in can be read
	}
	return page
}

// file answers with a file of the page. A browser keeps it, and asks each time
// whether it is still the same: a new build is seen at once.
func (s *Server) file(w http.ResponseWriter, r *http.Request) error {
	f := s.page[strings.TrimPrefix(r.URL.Path, "/")]
	w.Header().Set("Content-Type", f.kind)
	w.Header().Set("ETag", f.tag)
	w.Header().Set("Cache-Control", "no-cache")
	hurried(w)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
	return nil
}
