package recording

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hindcast.dev/vfs"
)

// A node that takes long over its cut is waited for as long as it says that it
// lives; one that says nothing at all isn't.
func TestASilentNodeIsToldFromASlowOne(t *testing.T) {
	const silent = 100 * time.Millisecond
	var asked atomic.Int64
	enough := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/health") {
			if asked.Add(1) == 25 { // each a tenth of silent after the other
				close(enough)
			}
			return
		}
		<-enough
		http.Error(w, `{"error":"it took its time"}`, http.StatusGone)
	}))
	defer slow.Close()
	over := make(chan struct{})
	hung := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	defer hung.Close()
	defer close(over)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	waits := atomic.Int64{}
	_, err := TakeSnapshot(t.Context(), vfs.NewMem(), "s", []string{slow.URL, "n2=" + hung.URL}, SnapshotOptions{Silent: silent, Client: client,
		Waiting: func(string, time.Duration) { waits.Add(1) }})
	var lacks *IncompleteError
	var quiet *SilentError
	if !errors.As(err, &lacks) || !errors.As(err, &quiet) {
		t.Fatalf("%v", err)
	}
	if quiet.Node != "n2" || !strings.Contains(err.Error(), "n2 has not answered for 100ms") || !strings.Contains(err.Error(), "it took its time") {
		t.Errorf("%v", err)
	}
	if strings.Contains(err.Error(), "cancel") || waits.Load() == 0 {
		t.Errorf("%v; told %d times", err, waits.Load())
	}
}

// An interrupted snapshot ends at once, whatever the nodes do.
func TestAnInterruptedSnapshotEnds(t *testing.T) {
	over, here := make(chan struct{}), make(chan struct{}, 10)
	hung := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { here <- struct{}{}; <-over }))
	defer hung.Close()
	defer close(over)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-here; cancel() }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if _, err := TakeSnapshot(ctx, vfs.NewMem(), "s", []string{hung.URL}, SnapshotOptions{Silent: time.Hour, Client: client}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// lineOf makes a directory of rolling snapshots without nodes, each based on the one
// before it, or whole where base is "".
func lineOf(t *testing.T, fsys vfs.FS, bases map[string]string) *Roller {
	t.Helper()
	r, err := NewRoller(fsys, "roll", []string{"127.0.0.1:1"}, 2, SnapshotOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, base := range bases {
		m := Manifest{Service: "s", Origin: SnapshotOrigin, Snapshot: &Snapshot{Time: 1 << 16, Base: base}}
		if _, err := Create(fsys, path.Join("roll", name), m); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

const (
	rolled1 = "20261121T194653.100000Z"
	rolled2 = "20261121T194653.200000Z"
	rolled3 = "20261121T194653.300000Z"
	rolled4 = "20261121T194653.400000Z"
)

func names(t *testing.T, fsys vfs.FS) string {
	t.Helper()
	all, err := fsys.ReadDir("roll")
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("20261121T194653.", "", "00000Z", "").Replace(strings.Join(all, " "))
}

// A kept snapshot that can't be read keeps what it may build on from being removed,
// and nothing else: older ones are hidden, and once it isn't kept all goes on.
func TestADamagedSnapshotDoesNotStopTheRoll(t *testing.T) {
	fsys := vfs.NewMem()
	lineOf(t, fsys, map[string]string{rolled1: "", rolled2: rolled1, rolled3: "", rolled4: rolled3})
	damaged := path.Join("roll", rolled3, ManifestName)
	sound, err := vfs.ReadFile(fsys, damaged, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if err := vfs.WriteFile(fsys, damaged, []byte("{")); err != nil {
		t.Fatal(err)
	}
	r := lineOf(t, fsys, nil)
	r.last = &Recording{}
	if err := r.prune(); err == nil || !strings.Contains(err.Error(), rolled3) || r.last != nil {
		t.Errorf("%v; goes on from %v", err, r.last)
	}
	if got := names(t, fsys); got != "3 4 ~1 ~2" {
		t.Errorf("there is %s", got)
	}
	if err := vfs.WriteFile(fsys, damaged, sound); err != nil {
		t.Fatal(err)
	}
	if err := r.prune(); err != nil {
		t.Error(err)
	}
	if got := names(t, fsys); got != "3 4" {
		t.Errorf("once it can be read there is %s", got)
	}
}

// What kept ones build on is hidden, and is read once.
func TestWhatAKeptSnapshotBuildsOnIsHidden(t *testing.T) {
	fsys := vfs.NewMem()
	r := lineOf(t, fsys, map[string]string{rolled1: "", rolled2: "", rolled3: rolled2, rolled4: rolled3})
	for range 2 {
		if err := r.prune(); err != nil {
			t.Fatal(err)
		}
		if got := names(t, fsys); got != "3 4 ~2" {
			t.Errorf("there is %s", got)
		}
	}
	want, _ := json.Marshal(map[string]string{rolled2: "", rolled3: rolled2, rolled4: rolled3})
	if got, _ := json.Marshal(r.bases); string(got) != string(want) {
		t.Errorf("it knows %s", got)
	}
}
