package node

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"testing"
	"time"
)

// certificate makes an authority of its own, and a certificate of it for
// loopback, for both ends.
func certificate(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		RootCAs: pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
}

func TestMutualTLSBetweenNodesAndOnBothHTTPServers(t *testing.T) {
	cfg := certificate(t)
	nodes := cluster(t, []string{"n1", "n2"}, func(o *Options) {
		o.NodeTLS, o.AdminTLS, o.HTTPTLS = cfg, cfg, cfg
		o.Admin, o.HTTP, o.Handler = "127.0.0.1:0", "127.0.0.1:0", echoHandler
	})
	n1, n2 := nodes["n1"], nodes["n2"]
	total(t, n1, Pass{To: "n2", Key: "a", By: 1})
	eventually(t, n2, "the message", func() bool { return peek(t, n2, "a") == 1 })

	client := func(cfg *tls.Config) *http.Client {
		return &http.Client{Transport: &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}}
	}
	for _, url := range []string{"https://" + n1.AdminAddr() + "/v1/ready", "https://" + n1.HTTPAddr() + "/"} {
		resp, err := client(cfg.Clone()).Get(url)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d", url, resp.StatusCode)
		}
		if resp, err := client(&tls.Config{RootCAs: cfg.RootCAs}).Get(url); err == nil {
			resp.Body.Close()
			t.Errorf("%s: one without a certificate got status %d", url, resp.StatusCode)
		}
	}
}
