// The contestant in Go: http.Client on an http.Transport, speaking the same lines as worker.ts (support/protocol.ts).
// The body is read as well as Go can: into one slice of the length that the head announced, or by a buffer of 64 KiB
// where it is streamed. The pool keeps as many idle connections as there are workers, since Go's default of two would
// dial again and again. Everything else is as in http.DefaultTransport. The parent sets GOMAXPROCS=1.
//
// With two arguments, "cold" and a target, it makes one request, prints what it cost, and exits (cold-worker.ts).
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"sort"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type target struct {
	Method        string
	URL           string
	SocketPath    string
	Headers       map[string]string
	RequestBytes  int64
	ResponseBytes int64
	Read          string
	Extra         string
	Resumes       bool
	Workers       int
}

type order struct {
	Op       string
	Target   target
	Millis   int
	Requests int
	First    int
	Count    int
}

type answer struct {
	OK     bool    `json:"ok"`
	Error  string  `json:"error,omitempty"`
	Count  int     `json:"count"`
	WallMs float64 `json:"wallMs"`
	UserUs int64   `json:"userUs"`
	SysUs  int64   `json:"sysUs"`
	P50Us  float64 `json:"p50Us"`
	P99Us  float64 `json:"p99Us"`
}

type contestant struct {
	target target
	client *http.Client
	body   []byte
	trace  *httptrace.ClientTrace
}

const limit = 60 * time.Second

func open(t target) *contestant {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = t.Workers
	if t.Workers > transport.MaxIdleConns {
		transport.MaxIdleConns = t.Workers
	}
	if t.SocketPath != "" {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", t.SocketPath)
		}
	}
	// Go resumes only where it is given a cache. With a TLS configuration of its own it would not speak HTTP/2, and the
	// responder speaks none.
	if t.Resumes {
		transport.TLSClientConfig = &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(0)}
	}
	client := &http.Client{Transport: transport}
	c := &contestant{target: t, client: client}
	switch t.Extra {
	case "timeouts":
		transport.ResponseHeaderTimeout = limit
		client.Timeout = limit
	case "hooks":
		c.trace = allHooks()
	}
	if t.Read != "stream" {
		c.body = bytes.Repeat([]byte("y"), int(t.RequestBytes))
	}
	return c
}

// Every hook there is, each of which does nothing.
func allHooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn:              func(string) {},
		GotConn:              func(httptrace.GotConnInfo) {},
		PutIdleConn:          func(error) {},
		GotFirstResponseByte: func() {},
		Got100Continue:       func() {},
		Got1xxResponse:       func(int, textproto.MIMEHeader) error { return nil },
		DNSStart:             func(httptrace.DNSStartInfo) {},
		DNSDone:              func(httptrace.DNSDoneInfo) {},
		ConnectStart:         func(string, string) {},
		ConnectDone:          func(string, string, error) {},
		TLSHandshakeStart:    func() {},
		TLSHandshakeDone:     func(tls.ConnectionState, error) {},
		WroteHeaderField:     func(string, []string) {},
		WroteHeaders:         func() {},
		Wait100Continue:      func() {},
		WroteRequest:         func(httptrace.WroteRequestInfo) {},
	}
}

// A body that is made while it goes out; nobody knows its length before, since its type is not one that net/http knows.
type pieces struct{ left int64 }

func (p *pieces) Read(into []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	n := copy(into, piece)
	if int64(n) > p.left {
		n = int(p.left)
	}
	p.left -= int64(n)
	return n, nil
}

var piece = bytes.Repeat([]byte("y"), 64*1024)

func (c *contestant) request() (*http.Request, context.CancelFunc, error) {
	t := &c.target
	var body io.Reader
	if t.RequestBytes > 0 && t.Read == "stream" {
		body = &pieces{t.RequestBytes}
	} else if t.RequestBytes > 0 {
		body = bytes.NewReader(c.body)
	}
	ctx, cancel := context.Background(), context.CancelFunc(nil)
	if t.Extra == "signal" {
		ctx, cancel = context.WithCancel(ctx)
	}
	if c.trace != nil {
		ctx = httptrace.WithClientTrace(ctx, c.trace)
	}
	request, err := http.NewRequestWithContext(ctx, t.Method, t.URL, body)
	if err != nil {
		return nil, cancel, err
	}
	for name, value := range t.Headers {
		request.Header.Set(name, value)
	}
	return request, cancel, nil
}

// length reads the body in the way that the scenario asks for, and tells how long it was.
func (c *contestant) length(response *http.Response) (int64, error) {
	switch {
	case c.target.Read == "json":
		var value struct {
			Bytes int64
			Items []struct {
				ID     int
				Name   string
				Price  float64
				Tags   []string
				Active bool
			}
			Pad string
		}
		whole, err := io.ReadAll(response.Body)
		if err == nil {
			err = json.Unmarshal(whole, &value)
		}
		return value.Bytes, err
	case c.target.Read == "stream":
		return io.CopyBuffer(struct{ io.Writer }{io.Discard}, response.Body, make([]byte, 64*1024))
	case response.ContentLength > 0 && c.target.Method != "HEAD":
		if _, err := io.ReadFull(response.Body, make([]byte, response.ContentLength)); err != nil {
			return 0, err
		}
		// The read that finds the end: a connection goes back to the pool only after it.
		extra, err := io.Copy(io.Discard, response.Body)
		return response.ContentLength + extra, err
	default:
		whole, err := io.ReadAll(response.Body)
		return int64(len(whole)), err
	}
}

func (c *contestant) send() error {
	request, cancel, err := c.request()
	if cancel != nil {
		defer cancel()
	}
	if err != nil {
		return err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	length, err := c.length(response)
	expected := c.target.ResponseBytes
	if c.target.Method == "HEAD" {
		expected = 0
	}
	if err == nil && length != expected {
		err = fmt.Errorf("response has the wrong length: received %d bytes, expected %d", length, expected)
	}
	return err
}

func (c *contestant) run(count int) (answer, error) {
	times := make([]float64, count)
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	start := time.Now()
	var started int64
	var failed atomic.Value
	var wait sync.WaitGroup
	for i := 0; i < c.target.Workers && i < count; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			last := time.Now()
			for {
				index := atomic.AddInt64(&started, 1) - 1
				if index >= int64(count) {
					return
				}
				if err := c.send(); err != nil {
					failed.Store(err.Error())
					return
				}
				now := time.Now()
				times[index] = float64(now.Sub(last).Nanoseconds()) / 1e3
				last = now
			}
		}()
	}
	wait.Wait()
	wall := time.Since(start)
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	if message := failed.Load(); message != nil {
		return answer{}, fmt.Errorf("%s", message)
	}
	sort.Float64s(times)
	return answer{
		OK:     true,
		Count:  count,
		WallMs: float64(wall.Nanoseconds()) / 1e6,
		UserUs: micros(after.Utime) - micros(before.Utime),
		SysUs:  micros(after.Stime) - micros(before.Stime),
		P50Us:  percentile(times, 0.5),
		P99Us:  percentile(times, 0.99),
	}, nil
}

func micros(t syscall.Timeval) int64 { return int64(t.Sec)*1e6 + int64(t.Usec) }

func percentile(sorted []float64, share float64) float64 {
	return sorted[int(math.Max(0, math.Ceil(float64(len(sorted))*share)-1))]
}

func (c *contestant) warm(o order) (answer, error) {
	start, limit := time.Now(), time.Duration(o.Millis)*time.Millisecond
	last, err := c.run(o.First)
	for next, done := o.First*2, o.First; err == nil; next *= 2 {
		elapsed := time.Since(start)
		if elapsed > 4*limit || (elapsed > limit && done >= o.Requests) {
			break
		}
		if next > 8192 {
			next = 8192
		}
		last, err = c.run(next)
		done += next
	}
	return last, err
}

func cold(text string) {
	start := time.Now()
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	var t target
	err := json.Unmarshal([]byte(text), &t)
	if err == nil {
		err = open(t).send()
	}
	wall := time.Since(start)
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	whole := micros(after.Utime) + micros(after.Stime)
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{
		"wallMs":    float64(wall.Nanoseconds()) / 1e6,
		"cpuUs":     whole - micros(before.Utime) - micros(before.Stime),
		"processUs": whole,
	})
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "cold" {
		cold(os.Args[2])
		return
	}
	lines := bufio.NewScanner(os.Stdin)
	say := json.NewEncoder(os.Stdout)
	var c *contestant
	for lines.Scan() {
		var o order
		var a answer
		err := json.Unmarshal(lines.Bytes(), &o)
		if err == nil {
			switch o.Op {
			case "open":
				c, a = open(o.Target), answer{OK: true}
			case "warm":
				a, err = c.warm(o)
			case "run":
				a, err = c.run(o.Count)
			default:
				err = fmt.Errorf("unknown order %q", o.Op)
			}
		}
		if err != nil {
			a = answer{Error: err.Error()}
		}
		_ = say.Encode(a)
	}
}
