package transport

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hindcast.dev/event"
	"hindcast.dev/journal/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// mutualTLS is a configuration in which each side must show the one certificate.
func mutualTLS(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, RootCAs: pool,
		ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
}

// pair starts n1 and n2 on real sockets; n2 hands what it gets to deliver.
func pair(t *testing.T, cfg *tls.Config, deliver func(Peer, *record.Frame, []byte) error) (n1, n2 *Transport) {
	t.Helper()
	ln1, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n2, err = Listen("127.0.0.1:0", Options{Service: "kv", Node: "n2", Boot: 1, TLS: cfg, Deliver: deliver,
		Peers: map[string]string{"n1": ln1.Addr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	n1, err = New(ln1, Options{Service: "kv", Node: "n1", Boot: 1, TLS: cfg, Peers: map[string]string{"n2": n2.Addr().String()},
		Limits: Limits{QueueFrames: 1 << 20, QueueBytes: 1 << 30}, Timing: Timing{QueueAge: time.Hour, Heartbeat: time.Second, Missed: 60},
		Deliver: func(Peer, *record.Frame, []byte) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	return n1, n2
}

func TestSocketsCarryManySendersFramesInTheirOrder(t *testing.T) {
	for name, cfg := range map[string]*tls.Config{"tcp": nil, "mutual tls": mutualTLS(t)} {
		t.Run(name, func(t *testing.T) {
			const senders, each = 4, 2000
			var last [senders]uint64
			all := make(chan struct{})
			count := 0
			n1, n2 := pair(t, cfg, func(from Peer, f *record.Frame, wire []byte) error {
				if s := f.ID.Effect; f.ID.Seq != last[s]+1 || len(f.Payload) != int(f.ID.Seq)%700 {
					t.Errorf("sender %d: message %d after %d, %d bytes", s, f.ID.Seq, last[s], len(f.Payload))
				}
				last[f.ID.Effect] = f.ID.Seq
				if count++; count == senders*each {
					close(all)
				}
				return nil
			})
			var wg sync.WaitGroup
			for s := range uint32(senders) {
				wg.Go(func() {
					for seq := uint64(1); seq <= each; seq++ {
						f := record.Frame{Kind: event.Message, Name: "Put", Payload: make([]byte, seq%700),
							ID: event.MessageID{Node: "n1", Boot: 1, Seq: seq, Effect: s}}
						n1.Send("n2", record.AppendWire(nil, &f), f.ID, f.Name)
					}
				})
			}
			wg.Wait()
			<-all
			for _, tr := range []*Transport{n1, n2} {
				if err := tr.Close(context.Background()); err != nil {
					t.Error(err)
				}
			}
			if s := n1.Stats().Peers["n2"]; s.Acked != senders*each || len(s.Dropped) != 0 {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

func TestWithMutualTLSAStrangerIsNotTalkedTo(t *testing.T) {
	n1, n2 := pair(t, mutualTLS(t), func(Peer, *record.Frame, []byte) error { return nil })
	plain := ClientOptions{Service: "kv"}
	if _, err := DialClient(t.Context(), n2.Addr().String(), plain); err == nil {
		t.Error("a client without TLS is welcome")
	}
	foreign := ClientOptions{Service: "kv", TLS: mutualTLS(t)}
	foreign.TLS.InsecureSkipVerify = true
	if _, err := DialClient(t.Context(), n2.Addr().String(), foreign); err == nil {
		t.Error("a client with a foreign certificate is welcome")
	}
	good := ClientOptions{Service: "kv", TLS: n2.o.TLS}
	c, err := DialClient(t.Context(), n2.Addr().String(), good)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Close(), n1.Close(t.Context()), n2.Close(t.Context())); err != nil {
		t.Error(err)
	}
}

func TestListenSaysWhyItCannot(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	o := Options{Service: "kv", Node: "n1", Boot: 1, Deliver: (&host{}).take}
	if _, err := Listen(ln.Addr().String(), o); err == nil {
		t.Error("the port is taken, and nothing is said")
	}
	o.Boot = 0
	if _, err := Listen("127.0.0.1:0", o); err == nil {
		t.Error("boot 0 is taken")
	}
}

func BenchmarkSend(b *testing.B) {
	got := make(chan struct{}, 1<<16)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	deliver := func(Peer, *record.Frame, []byte) error { got <- struct{}{}; return nil }
	n2, err := New(ln, Options{Service: "kv", Node: "n2", Boot: 1, Peers: map[string]string{"n1": "127.0.0.1:1"}, Deliver: deliver})
	if err != nil {
		b.Fatal(err)
	}
	n1, err := New(nil, Options{Service: "kv", Node: "n1", Boot: 1, Peers: map[string]string{"n2": ln.Addr().String()}, Deliver: deliver})
	if err != nil {
		b.Fatal(err)
	}
	frame := message(1, make([]byte, 100))
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	const window = 1000
	for i := range b.N {
		if i >= window {
			<-got
		}
		n1.Send("n2", frame, event.MessageID{}, "Put")
	}
	for range min(b.N, window) {
		<-got
	}
	b.StopTimer()
	if err := errors.Join(n1.Close(b.Context()), n2.Close(b.Context())); err != nil {
		b.Error(err)
	}
}
