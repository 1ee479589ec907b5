package event_test

import (
	"math"

	"pgregory.net/rapid"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
)

// genScalar draws values on which codecs and comparisons tend to stumble.
func genScalar() *rapid.Generator[event.Value] {
	return rapid.OneOf(
		rapid.Just(event.Null()),
		rapid.Map(rapid.Bool(), event.Bool),
		rapid.Map(rapid.Int64(), event.Int),
		rapid.Map(rapid.Int64Range(-3, 3), event.Int),
		rapid.Map(rapid.Uint64Range(1<<63-2, math.MaxUint64), event.Uint),
		rapid.Map(rapid.Float64(), event.Float),
		rapid.Map(rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1, -1, 1 << 53, 1 << 63, -1 << 63, 1 << 64, 0.1, 1e300, 5e-324,
			math.NaN(), math.Inf(1), math.Inf(-1)}), event.Float),
		rapid.Map(rapid.String(), event.String),
		rapid.Map(rapid.SampledFrom([]string{"", "$set", "$map", "a", "b", "a.b", "x\ny", "\"", "\\", "\xff", "a\x00", "\u2028é", "\xed\xa0\x80"}), event.String),
		rapid.Map(rapid.Uint64(), func(n uint64) event.Value { return event.Time(hlc.Timestamp(n)) }),
	)
}

// genValue draws values nested up to depth levels.
func genValue(depth int) *rapid.Generator[event.Value] {
	if depth == 0 {
		return genScalar()
	}
	inner := genValue(depth - 1)
	return rapid.OneOf(genScalar(), genScalar(),
		rapid.Map(rapid.SliceOfN(inner, 0, 4), func(vs []event.Value) event.Value { return event.List(vs...) }),
		rapid.Map(rapid.SliceOfN(inner, 0, 4), func(vs []event.Value) event.Value { return event.Set(vs...) }),
		rapid.Custom(func(t *rapid.T) event.Value {
			keys := rapid.SliceOfN(rapid.OneOf(genScalar(), rapid.Map(rapid.String(), event.String)), 0, 14).Draw(t, "keys")
			var m *event.Map
			for _, k := range keys {
				m = m.With(k, inner.Draw(t, "value"))
			}
			return event.MapOf(m)
		}))
}
