// The contestant in Go: http.Client on an http.Transport, speaking the same lines as worker.ts (support/protocol.ts).
// The body is read as well as Go can: into one slice of the length that the head announced. The pool keeps as many
// idle connections as there are workers, since Go's default of two would dial again and again. Everything else is as
// in http.DefaultTransport. The parent sets GOMAXPROCS=1.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
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
	Headers       map[string]string
	RequestBytes  int
	ResponseBytes int
	Workers       int
}

type order struct {
	Op       string
	Target   target
	Millis   int
	Requests int
	Count    int
}

type answer struct {
	OK     bool     `json:"ok"`
	Error  string   `json:"error,omitempty"`
	Count  int      `json:"count"`
	WallMs float64  `json:"wallMs"`
	UserUs int64    `json:"userUs"`
	SysUs  int64    `json:"sysUs"`
	P50Us  *float64 `json:"p50Us,omitempty"`
	P99Us  *float64 `json:"p99Us,omitempty"`
}

type contestant struct {
	target target
	client *http.Client
	body   []byte
}

func open(t target) *contestant {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = t.Workers
	// A custom TLS configuration is not set, so DefaultTransport's wish for HTTP/2 stands; the responder speaks none.
	return &contestant{t, &http.Client{Transport: transport}, bytes.Repeat([]byte("y"), t.RequestBytes)}
}

func (c *contestant) send() error {
	var body io.Reader
	if c.target.RequestBytes > 0 {
		body = bytes.NewReader(c.body)
	}
	request, err := http.NewRequest(c.target.Method, c.target.URL, body)
	if err != nil {
		return err
	}
	for name, value := range c.target.Headers {
		request.Header.Set(name, value)
	}
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.ContentLength != int64(c.target.ResponseBytes) {
		return fmt.Errorf("response has the wrong length: %d announced, %d expected", response.ContentLength, c.target.ResponseBytes)
	}
	if _, err := io.ReadFull(response.Body, make([]byte, response.ContentLength)); err != nil {
		return err
	}
	// The read that finds the end: a connection goes back to the pool only after it.
	extra, err := io.Copy(io.Discard, response.Body)
	if err == nil && extra != 0 {
		return fmt.Errorf("response has the wrong length: %d bytes too many", extra)
	}
	return err
}

func (c *contestant) run(count int) (answer, error) {
	sequential := c.target.Workers == 1
	var ends []time.Time
	if sequential {
		ends = make([]time.Time, 0, count)
	}
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	start := time.Now()
	var started int64
	var failed atomic.Value
	var wait sync.WaitGroup
	for i := 0; i < c.target.Workers; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for atomic.AddInt64(&started, 1) <= int64(count) {
				if err := c.send(); err != nil {
					failed.Store(err.Error())
					return
				}
				if sequential {
					ends = append(ends, time.Now())
				}
			}
		}()
	}
	wait.Wait()
	wall := time.Since(start)
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	if message := failed.Load(); message != nil {
		return answer{}, fmt.Errorf("%s", message)
	}
	result := answer{
		OK:     true,
		Count:  count,
		WallMs: float64(wall.Nanoseconds()) / 1e6,
		UserUs: micros(after.Utime) - micros(before.Utime),
		SysUs:  micros(after.Stime) - micros(before.Stime),
	}
	if sequential {
		result.P50Us, result.P99Us = percentiles(ends, start)
	}
	return result, nil
}

func micros(t syscall.Timeval) int64 { return int64(t.Sec)*1e6 + int64(t.Usec) }

func percentiles(ends []time.Time, start time.Time) (*float64, *float64) {
	times := make([]float64, len(ends))
	for i, end := range ends {
		times[i] = float64(end.Sub(start).Nanoseconds()) / 1e3
		start = end
	}
	sort.Float64s(times)
	at := func(share float64) *float64 {
		index := int(float64(len(times)) * share)
		if index >= len(times) {
			index = len(times) - 1
		}
		return &times[index]
	}
	return at(0.5), at(0.99)
}

func (c *contestant) warm(millis, requests int) (answer, error) {
	start, limit := time.Now(), time.Duration(millis)*time.Millisecond
	last, err := c.run(64)
	for next, done := 128, 64; err == nil; next *= 2 {
		elapsed := time.Since(start)
		if elapsed > 4*limit || (elapsed > limit && done >= requests) {
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

func main() {
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
				a, err = c.warm(o.Millis, o.Requests)
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
