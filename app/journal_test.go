package app_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"hindcast.dev/app"
	"hindcast.dev/journal"
	"hindcast.dev/recording"
	"hindcast.dev/vfs"
)

// twoNodes makes a recording of two nodes and a third that didn't answer.
func twoNodes(t *testing.T) (dir string) {
	tmp := t.TempDir()
	dir = filepath.Join(tmp, "rec")
	rec, err := recording.Create(vfs.OS(), dir, recording.Manifest{Service: "counter"})
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"n1", "n2"} {
		data := filepath.Join(tmp, name)
		if err := os.Mkdir(data, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := writeJournal(filepath.Join(data, "journal"), 40+i); err != nil {
			t.Fatal(err)
		}
		if err := rec.CopyNode(t.Context(), recording.Node{Name: name}, vfs.OS(), data, recording.CopyOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	rec.AddNode(recording.Node{Name: "n3", Address: "127.0.0.1:9", Missing: "connection refused"})
	if err := rec.Save(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAllJournalsOfARecordingAreChecked(t *testing.T) {
	dir := twoNodes(t)
	for _, what := range []string{"info", "verify"} {
		out, errs := mustRun(t, app.Service{}, "", "journal", what, dir)
		wantText(t, what, out, "n1:\n", "\nn2:\n", "40", "41")
		wantText(t, what, errs, "nothing of node n3 is in the recording: connection refused")
	}
	rec, err := recording.Open(vfs.OS(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(rec.JournalDir("n2"), "00000001.seg"), 6000); err != nil {
		t.Fatal(err)
	}
	code, out, errs := run(t, app.Service{}, "", "journal", "verify", dir)
	if code != app.ExitFound {
		t.Errorf("exit code %d", code)
	}
	wantText(t, "verify", out, "40 events", "14 events", "\nsound\n", "damaged: ")
	wantText(t, "verify", errs, filepath.ToSlash(rec.JournalDir("n2"))+" is damaged")
	code, out, _ = run(t, app.Service{}, "", "journal", "info", "-o", "json", dir)
	var reports []struct {
		Node   string
		Report struct {
			FirstSeq, LastSeq uint64
			Problems          []struct{ Problem string }
		}
	}
	if err := json.Unmarshal([]byte(out), &reports); err != nil || code != app.ExitFound || len(reports) != 2 {
		t.Fatalf("info -o json: exit code %d, %v\n%s", code, err, out)
	}
	if r := reports[1]; r.Node != "n2" || r.Report.LastSeq != 14 || len(r.Report.Problems) != 1 || r.Report.Problems[0].Problem != journal.ErrUnexpectedEnd.Error() {
		t.Errorf("%+v", r)
	}
	mustRun(t, app.Service{}, "", "journal", "verify", "--node", "n1", dir)
}
