// The steps of README.md with Go's net/http.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"strings"
)

func step(method, path string, status int, body io.Reader) error {
	request, err := http.NewRequest(method, os.Args[1]+path+"?token=abc&n=1", body)
	if err != nil {
		log.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	io.Copy(io.Discard, response.Body)
	if response.StatusCode != status {
		log.Fatalf("%s %s: %d instead of %d", method, path, response.StatusCode, status)
	}
	return nil
}

func main() {
	for _, err := range []error{
		step("GET", "/hello", 200, nil),
		step("HEAD", "/hello", 200, nil),
		step("GET", "/missing", 404, nil),
		step("GET", "/fail", 500, nil),
		step("GET", "/chunked", 200, nil),
		step("GET", "/large", 200, nil),
		step("POST", "/upload", 200, strings.NewReader(strings.Repeat("u", 1<<20))),
		step("GET", "/close", 200, nil),
	} {
		if err != nil {
			log.Fatal(err)
		}
	}
	if step("GET", "/stall", 0, nil) == nil {
		log.Fatal("/stall was answered")
	}
}
