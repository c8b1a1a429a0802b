// The second article's load, run by Go's own client: workers that post one body again and again to one host.
// Prints one line of JSON: connections dialed, posts answered.
//
//	main URL BODY WORKERS POSTS default|wide|per-worker PAUSE_MIN_MS PAUSE_MAX_MS
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var dialed, answered int64

func newTransport(maxIdlePerHost int) *http.Transport {
	dialer := &net.Dialer{}
	return &http.Transport{
		MaxIdleConnsPerHost: maxIdlePerHost, // 0 is Go's default: two
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			if err == nil {
				atomic.AddInt64(&dialed, 1)
			}
			return conn, err
		},
	}
}

func post(client *http.Client, url, body string) error {
	resp, err := client.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	atomic.AddInt64(&answered, 1)
	return nil
}

func main() {
	url, body := os.Args[1], os.Args[2]
	workers, _ := strconv.Atoi(os.Args[3])
	posts, _ := strconv.Atoi(os.Args[4])
	mode := os.Args[5]
	least, _ := strconv.Atoi(os.Args[6])
	most, _ := strconv.Atoi(os.Args[7])

	idle := 0
	if mode == "wide" {
		idle = 256
	}
	shared := newTransport(idle)
	var wait sync.WaitGroup
	for w := 0; w < workers; w++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			client := &http.Client{Transport: shared}
			if mode == "per-worker" {
				client = &http.Client{Transport: newTransport(0)}
			}
			for i := 0; i < posts; i++ {
				if err := post(client, url, body); err != nil {
					fmt.Fprintln(os.Stderr, err)
				}
				if most > 0 {
					pause := float64(least) + rand.Float64()*float64(most-least)
					time.Sleep(time.Duration(pause * float64(time.Millisecond)))
				}
			}
		}()
	}
	wait.Wait()

	json.NewEncoder(os.Stdout).Encode(map[string]int64{"dialed": dialed, "answered": answered})
	// The connections stay open until whoever started this has counted them, and closed its end of stdin.
	io.Copy(io.Discard, os.Stdin)
}
