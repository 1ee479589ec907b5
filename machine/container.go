package machine

// A Container is Map, Set or List: state that knows what was touched in it.
type Container interface {
	Inspect() Inspector
}

// A Shape says which of the containers an Inspector looks at.
type Shape uint8

// The shapes of containers.
const (
	ShapeMap Shape = iota
	ShapeSet
	ShapeList
)

// An Inspector is a container without its types, for the stepper's accessor
// plans. Keys and values are given as pointers, *K and *V, to where they lie in
// the container: to be read at once, not kept and not written.
type Inspector interface {
	Shape() Shape
	// Len is the number of entries.
	Len() int
	// Base is the index of a List's first element, 0 for the others.
	Base() int
	// Each calls yield for every entry in order, until it returns false.
	Each(yield func(key, val any) bool)
	// Touched calls yield in order for every entry that was set or deleted since
	// Settle was last called; val is a nil interface where the entry is gone.
	Touched(yield func(key, val any) bool)
	// Untouched reports whether Touched would call yield for nothing.
	Untouched() bool
	// Settle forgets what was touched.
	Settle()
	// Elem returns a new(K) and a new(V), for their types.
	Elem() (key, val any)
}
