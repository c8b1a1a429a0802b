// Go's own readers as an oracle: one JSON case a line on stdin, one JSON answer a line on stdout. Built by the run that
// needs it, into a folder of its own; ends with its stdin.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
)

type question struct {
	Kind   string `json:"kind"`   // "response" or "requests"
	Method string `json:"method"` // of the request that a response answers
	Bytes  string `json:"bytes"`  // base64; the connection ends behind it
}

type message struct {
	Status   int        `json:"status"`
	Reason   string     `json:"reason"` // base64, as all that a peer wrote
	Minor    int        `json:"minor"`
	Method   string     `json:"method"`
	Target   string     `json:"target"`
	Host     string     `json:"host"`
	Fields   [][]string `json:"fields"`
	Body     string     `json:"body"` // base64
	Trailers [][]string `json:"trailers"`
	Framing  string     `json:"framing"`
	Close    bool       `json:"close"`
}

type answer struct {
	Messages []message `json:"messages"`
	Error    string    `json:"error"` // of the message behind those; "" where the bytes ended between two
	Phase    string    `json:"phase"` // "head" or "body"
	Rest     int       `json:"rest"`  // bytes that were not read
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var q question
		if err := json.Unmarshal(line, &q); err != nil {
			panic(err)
		}
		data, err := base64.StdEncoding.DecodeString(q.Bytes)
		if err != nil {
			panic(err)
		}
		var a answer
		if q.Kind == "response" {
			a = readResponses(data, q.Method)
		} else {
			a = readRequests(data)
		}
		text, err := json.Marshal(a)
		if err != nil {
			panic(err)
		}
		out.Write(text)
		out.WriteByte('\n')
		out.Flush()
	}
}

// readResponses reads 1xx responses and the final one behind them, as Transport does.
func readResponses(data []byte, method string) answer {
	a := answer{Messages: []message{}}
	source := bytes.NewReader(data)
	reader := bufio.NewReader(source)
	for {
		res, err := http.ReadResponse(reader, &http.Request{Method: method})
		if err != nil {
			a.Error, a.Phase = err.Error(), "head"
			return a
		}
		m := message{Status: res.StatusCode, Reason: base64.StdEncoding.EncodeToString([]byte(res.Status)), Minor: res.ProtoMajor*10 + res.ProtoMinor, Fields: pairs(res.Header), Close: res.Close}
		m.Framing = framing(res.TransferEncoding, res.ContentLength)
		final := res.StatusCode < 100 || res.StatusCode >= 200 || res.StatusCode == 101
		body, err := io.ReadAll(res.Body)
		m.Body = base64.StdEncoding.EncodeToString(body)
		m.Trailers = pairs(res.Trailer)
		a.Messages = append(a.Messages, m)
		if err != nil {
			a.Error, a.Phase = err.Error(), "body"
			return a
		}
		if final {
			a.Rest = source.Len() + reader.Buffered()
			return a
		}
	}
}

// readRequests reads requests until the bytes end.
func readRequests(data []byte) answer {
	a := answer{Messages: []message{}}
	source := bytes.NewReader(data)
	reader := bufio.NewReader(source)
	for {
		if _, err := reader.Peek(1); err == io.EOF {
			return a
		}
		req, err := http.ReadRequest(reader)
		if err != nil {
			a.Error, a.Phase = err.Error(), "head"
			return a
		}
		m := message{Minor: req.ProtoMajor*10 + req.ProtoMinor, Method: req.Method, Target: req.RequestURI, Host: req.Host, Fields: pairs(req.Header), Close: req.Close}
		m.Framing = framing(req.TransferEncoding, req.ContentLength)
		body, err := io.ReadAll(req.Body)
		m.Body = base64.StdEncoding.EncodeToString(body)
		m.Trailers = pairs(req.Trailer)
		a.Messages = append(a.Messages, m)
		if err != nil {
			a.Error, a.Phase = err.Error(), "body"
			return a
		}
	}
}

func framing(codings []string, length int64) string {
	if len(codings) > 0 {
		return "chunked"
	}
	if length < 0 {
		return "close"
	}
	return "length"
}

// pairs gives a header as base64 pairs: JSON would replace what is not UTF-8.
func pairs(header http.Header) [][]string {
	out := [][]string{}
	for name, values := range header {
		for _, value := range values {
			out = append(out, []string{base64.StdEncoding.EncodeToString([]byte(name)), base64.StdEncoding.EncodeToString([]byte(value))})
		}
	}
	return out
}
