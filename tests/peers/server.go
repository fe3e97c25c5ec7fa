// The routes of README.md on Go's net/http.
package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
)

func main() {
	// O_APPEND: lines of several goroutines do not mix.
	out, err := os.OpenFile(os.Args[2], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	note := func(r *http.Request, status string) {
		fmt.Fprintf(out, "%s\t%s\t%s\n", r.Method, r.RequestURI, status)
	}
	answer := func(status int, body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			w.WriteHeader(status)
			w.Write(body)
			note(r, strconv.Itoa(status))
		}
	}
	http.HandleFunc("/hello", answer(200, []byte("hello\n")))
	http.HandleFunc("/fail", answer(500, []byte("failed\n")))
	http.HandleFunc("/large", answer(200, bytes.Repeat([]byte("x"), 1<<20)))
	http.HandleFunc("/", answer(404, []byte("missing\n")))
	http.HandleFunc("/chunked", func(w http.ResponseWriter, r *http.Request) {
		for _, part := range []string{"one\n", "two\n", "three\n"} {
			io.WriteString(w, part)
			w.(http.Flusher).Flush()
		}
		note(r, "200")
	})
	http.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		answer(200, []byte("taken\n"))(w, r)
	})
	http.HandleFunc("/close", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		answer(200, []byte("closing\n"))(w, r)
	})
	http.HandleFunc("/stall", func(w http.ResponseWriter, r *http.Request) {
		note(r, "-")
		connection, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			connection.Close()
		}
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
