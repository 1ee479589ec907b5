package sim

import (
	"time"

	"hindcast.dev/machine"
)

// A Plan says which operations clients do and when the faults end, where both are
// otherwise drawn. It is what shrinking works on.
type Plan struct {
	Operations []Planned     `json:"operations"` // by client, and in its order
	Heal       time.Duration `json:"heal"`       // when the faults end
}

// A Planned operation is one that a client would do anyway.
type Planned struct {
	Client int           `json:"client"`
	Number int           `json:"number"` // among that client's, from 1
	At     time.Duration `json:"at"`     // not before
}

// PlanOf is a run as a plan: under it all happens as it did, or nearly so.
func PlanOf(r *Result) *Plan {
	p := &Plan{Heal: r.Healed, Operations: []Planned{}}
	if p.Heal == 0 {
		p.Heal = r.Simulated
	}
	count := map[int]int{}
	for i := range r.Operations {
		o := &r.Operations[i]
		count[o.Process]++
		p.Operations = append(p.Operations, Planned{Client: o.Process, Number: count[o.Process], At: time.Duration(o.Call)})
	}
	return p
}

// planned gives clients what they are to do.
func (l *load) planned(p *Plan) {
	l.plan = p
	for _, o := range p.Operations {
		if o.Client >= 0 && o.Client < len(l.clients) {
			c := l.clients[o.Client]
			c.plan = append(c.plan, o)
		}
	}
}

// nextPlanned begins the next operation of the plan when it is time.
func (c *Client) nextPlanned() {
	if len(c.plan) == 0 {
		return
	}
	w := c.load.w
	w.queue.put(max(w.now, int64(c.plan[0].At)), happening{kind: happensInvoke, arg: c})
}

// begins counts an operation that begins, and gives the client its source for it:
// the same operation is the same whatever came before.
func (c *Client) begins() {
	c.count++
	if len(c.plan) > 0 {
		c.count, c.plan = c.plan[0].Number, c.plan[1:]
	}
	*c.Rand = *machine.NewRand(c.load.w.seed*0x9e3779b97f4a7c15 ^ c.purpose + uint64(c.count)*0xbf58476d1ce4e5b9)
}

// satisfied reports whether the client has had its answer since the core healed,
// or has nothing more to ask.
func (c *Client) satisfied() bool {
	return c.ok || c.load.plan != nil && len(c.plan) == 0 && !c.busy
}
