package live

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// A node of a build that doesn't know how far apart promises may be is asked without.
func TestANodeThatKnowsNoPatienceIsFollowed(t *testing.T) {
	var asked []string
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RawQuery)
		if r.URL.Query().Has("promise") {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", ContentType)
	}))
	defer hs.Close()
	c := &conn{base: hs.URL + "/v1/", promise: 200 * time.Millisecond, client: hs.Client()}
	for range 2 {
		resp, err := c.request(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if len(asked) != 3 || asked[0] != "promise=200ms" || asked[1] != "" || asked[2] != "" {
		t.Errorf("it was asked %q", asked)
	}
}
