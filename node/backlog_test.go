package node

import "testing"

// What is forgotten makes room for what comes: a backlog that is as long as before
// needs no more memory.
func TestABacklogUsesItsMemoryAgain(t *testing.T) {
	const most = 100
	var b backlog[int]
	for i := range 100 * most {
		if len(b.items()) == most {
			b.forget(most / 2)
		}
		b.add(i)
		for at, v := range b.items() {
			if v != i-len(b.items())+1+at {
				t.Fatalf("after %d: %v", i, b.items())
			}
		}
	}
	if cap(b.buf) > 3*most {
		t.Errorf("room for %d", cap(b.buf))
	}
}
