package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"hindcast.dev/hlc"
	"hindcast.dev/vfs"
)

// ReportFile is the file in a failure's directory that says what it is. Beside it
// is the run's recording.
const ReportFile = "failure.json"

// reportBytesMax bounds the file.
const reportBytesMax = 64 << 20

// A Report is all that is needed to have a failure again.
type Report struct {
	Subject string  `json:"subject"`
	Seed    uint64  `json:"seed"`
	Options Options `json:"options"` // all that decides the run
	Failure Failure `json:"failure"`
	Hash    string  `json:"hash"` // of the run
	Build   string  `json:"build,omitempty"`
	Command string  `json:"command"` // that runs it again
	// Words say what happens in the run, if it was shrunk.
	Words string `json:"words,omitempty"`
	// Notes say of nodes what the recording can't: who is down, whose disk was
	// damaged or replaced, what couldn't be copied.
	Notes []string `json:"notes,omitempty"`
}

// Time is when the failure was seen, by a clock that no fault has touched.
func (r *Report) Time() hlc.Timestamp { return epoch.Add(r.Failure.At) }

// ErrNoReport is returned by ReadReport for a directory that has none.
var ErrNoReport = errors.New("no failure of a simulated run")

// ReadReport reads the report of a failure's directory.
func ReadReport(fsys vfs.FS, dir string) (*Report, error) {
	name := path.Join(dir, ReportFile)
	b, err := vfs.ReadFile(fsys, name, reportBytesMax)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w: there is no %s in it", dir, ErrNoReport, ReportFile)
	}
	if err != nil {
		return nil, err
	}
	r := &Report{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s isn't the report of a failure: %w", name, err)
	}
	return r, nil
}

// Write writes the report into a failure's directory, which is made if need be.
func (r *Report) Write(fsys vfs.FS, dir string) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(r); err != nil {
		return err
	}
	if err := fsys.MkdirAll(dir); err != nil {
		return err
	}
	return vfs.WriteFile(fsys, path.Join(dir, ReportFile), b.Bytes())
}
