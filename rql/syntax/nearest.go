package syntax

import "strings"

// nearestLen is the length, in characters, of the longest word that Nearest
// looks at; the cost of a comparison grows with its square.
const nearestLen = 64

// Nearest returns the candidate that word is most likely a misprint of: the one
// with the fewest letters wrong, missing, too many or swapped with their
// neighbour; between equals one that begins in the same case, then one of the
// same length, then the first by bytes. It reports false if none is near: at most
// a third of word's letters, rounded up, may be wrong, and never all of them.
func Nearest(word string, candidates []string) (string, bool) {
	w := []rune(strings.ToLower(word))
	if len(w) == 0 || len(w) > nearestLen {
		return "", false
	}
	best, bestScore, found := "", 0, false
	limit := min((len(w)+2)/3, len(w)-1)
	for _, c := range candidates {
		if c == word || len(c) > 4*nearestLen {
			continue
		}
		r := []rune(strings.ToLower(c))
		if abs(len(r)-len(w)) > limit {
			continue
		}
		d := distance(w, r)
		if d > limit || d >= len(r) && d > 0 {
			continue
		}
		score := 4 * d
		if !sameCase(word, c) {
			score += 2
		}
		if len(r) != len(w) {
			score++
		}
		if !found || score < bestScore || score == bestScore && c < best {
			best, bestScore, found = c, score, true
		}
	}
	return best, found
}

// sameCase reports whether a and b begin alike: both or neither with a capital.
func sameCase(a, b string) bool {
	upper := func(s string) bool { return s != "" && s[:1] != strings.ToLower(s[:1]) }
	return upper(a) == upper(b)
}

// distance is the number of edits between a and b: a letter put in, left out,
// replaced, or swapped with its neighbour (optimal string alignment).
func distance(a, b []rune) int {
	before, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(b)]
}

func abs(n int) int { return max(n, -n) }
