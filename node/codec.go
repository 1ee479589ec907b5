package node

import (
	"bytes"
	"fmt"

	"hindcast.dev/machine"
	"hindcast.dev/machine/state"
)

// A codec turns the bodies of a machine's payloads into bytes and back.
type codec struct {
	c *state.Codec // nil for a machine that takes bytes
}

// newCodec returns the codec of the version that runs: version, or the latest for
// 0.
func newCodec(versions machine.Versions, version uint32) (*codec, error) {
	if version == 0 {
		version = versions.Latest()
	}
	construct := versions[version]
	if construct == nil {
		return nil, fmt.Errorf("version %d has no constructor", version)
	}
	typed, ok := construct().(machine.Typed)
	if !ok {
		return &codec{}, nil
	}
	c, err := state.NewCodec(typed.Payloads())
	if err != nil {
		return nil, err
	}
	return &codec{c}, nil
}

func (c *codec) encode(body any) (name string, version uint32, payload []byte, err error) {
	return c.c.Encode(body)
}

// decode returns the body; bytes, which it copies, if there is no type for it.
func (c *codec) decode(name string, version uint32, payload []byte) (any, error) {
	body, err := c.c.Decode(name, version, payload)
	if err == nil && body == nil && len(payload) > 0 {
		return bytes.Clone(payload), nil
	}
	return body, err
}
