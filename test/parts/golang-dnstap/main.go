// Command golang-dnstap-bench is the yardstick of the project's own intake: the same work (frames of CoreDNS to a merged
// table of who looked what up) done with the usual Go libraries. It prints one line of JSON with counts and times.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	dnstap "github.com/dnstap/golang-dnstap"
	framestream "github.com/farsightsec/golang-framestream"
	"github.com/miekg/dns"
	"google.golang.org/protobuf/proto"
)

// pair is the key of the table: a client and the name it asked for, in lower case.
type pair struct {
	client netip.Addr
	name   string
}

// lookups is what the table keeps of a pair.
type lookups struct {
	count           uint64
	firstSeen       time.Time
	lastSeen        time.Time
	rcode           int
	addresses       []netip.Addr
	canonicalNames  []string
	lastQueryFinish time.Time
}

// table is the merged outcome of all frames.
type table struct {
	frames    uint64
	responses uint64
	pairs     map[pair]*lookups
}

type report struct {
	Frames           uint64  `json:"frames"`
	Responses        uint64  `json:"responses"`
	Pairs            int     `json:"pairs"`
	WallSeconds      float64 `json:"wallSeconds"`
	CPUUserSeconds   float64 `json:"cpuUserSeconds"`
	CPUSystemSeconds float64 `json:"cpuSystemSeconds"`
}

func main() {
	socket := flag.String("unix", "", "listen on this unix socket, serve one connection until STOP or the end")
	file := flag.String("read", "", "read this Frame Streams file")
	repeat := flag.Int("repeat", 1, "read the file this many times")
	flag.Parse()
	if err := run(*socket, *file, *repeat); err != nil {
		fmt.Fprintln(os.Stderr, "golang-dnstap-bench:", err)
		os.Exit(1)
	}
}

func run(socket, file string, repeat int) error {
	t := &table{pairs: map[pair]*lookups{}}
	var wall time.Duration
	var err error
	switch {
	case socket != "" && file == "":
		wall, err = t.serve(socket)
	case file != "" && socket == "":
		wall, err = t.readFile(file, repeat)
	default:
		err = errors.New("want either -unix PATH or -read FILE")
	}
	if err != nil {
		return err
	}
	return t.print(wall)
}

// serve times from the first connection, not from the start: the wait for a sender is no work.
func (t *table) serve(path string) (time.Duration, error) {
	listener, err := net.Listen("unix", path)
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	connection, err := listener.Accept()
	if err != nil {
		return 0, err
	}
	defer connection.Close()
	start := time.Now()
	err = t.readStream(connection, true)
	return time.Since(start), err
}

func (t *table) readFile(path string, repeat int) (time.Duration, error) {
	start := time.Now()
	for range repeat {
		if err := t.readOnce(path); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

func (t *table) readOnce(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return t.readStream(file, false)
}

// readStream returns nil at STOP and at an end without STOP: CoreDNS does not wait for its STOP to be sent when it ends, nor
// for our FINISH.
func (t *table) readStream(stream io.ReadWriter, bidirectional bool) error {
	reader, err := dnstap.NewReader(stream, &dnstap.ReaderOptions{Bidirectional: bidirectional})
	if err != nil {
		return err
	}
	frame := make([]byte, dnstap.MaxPayloadSize)
	for {
		n, err := reader.ReadFrame(frame)
		switch {
		case err == nil:
			t.decode(frame[:n])
		case errors.Is(err, framestream.ErrDataFrameTooLarge):
			t.frames++
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
			return nil
		default:
			return err
		}
	}
}

func (t *table) decode(frame []byte) {
	t.frames++
	var decoded dnstap.Dnstap
	if err := proto.Unmarshal(frame, &decoded); err != nil {
		return
	}
	message := decoded.GetMessage()
	if message.GetType() != dnstap.Message_CLIENT_RESPONSE || message.GetResponseMessage() == nil {
		return
	}
	t.responses++
	var answer dns.Msg
	if err := answer.Unpack(message.GetResponseMessage()); err != nil || len(answer.Question) != 1 {
		return
	}
	t.record(message, &answer)
}

func (t *table) record(message *dnstap.Message, answer *dns.Msg) {
	// CoreDNS up to 1.14.4 writes IPv4 as 16 octets with family INET, so the length decides.
	client, _ := netip.AddrFromSlice(message.GetQueryAddress())
	key := pair{client: client.Unmap(), name: strings.ToLower(answer.Question[0].Name)}
	at := time.Unix(int64(message.GetQueryTimeSec()), int64(message.GetQueryTimeNsec()))
	entry := t.pairs[key]
	if entry == nil {
		entry = &lookups{firstSeen: at, lastSeen: at}
		t.pairs[key] = entry
	}
	entry.count++
	if at.Before(entry.firstSeen) {
		entry.firstSeen = at
	}
	if at.After(entry.lastSeen) {
		entry.lastSeen = at
	}
	entry.lastQueryFinish = time.Unix(int64(message.GetResponseTimeSec()), int64(message.GetResponseTimeNsec()))
	entry.rcode = answer.Rcode
	entry.addresses, entry.canonicalNames = answers(answer)
}

// answers returns the addresses of an answer and the names of its CNAME chain, in the order of the message.
func answers(answer *dns.Msg) (addresses []netip.Addr, canonicalNames []string) {
	for _, record := range answer.Answer {
		switch record := record.(type) {
		case *dns.A:
			if address, ok := netip.AddrFromSlice(record.A.To4()); ok {
				addresses = append(addresses, address)
			}
		case *dns.AAAA:
			if address, ok := netip.AddrFromSlice(record.AAAA); ok {
				addresses = append(addresses, address)
			}
		case *dns.CNAME:
			canonicalNames = append(canonicalNames, strings.ToLower(record.Target))
		}
	}
	return addresses, canonicalNames
}

func (t *table) print(wall time.Duration) error {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(report{
		Frames:           t.frames,
		Responses:        t.responses,
		Pairs:            len(t.pairs),
		WallSeconds:      wall.Seconds(),
		CPUUserSeconds:   time.Duration(usage.Utime.Nano()).Seconds(),
		CPUSystemSeconds: time.Duration(usage.Stime.Nano()).Seconds(),
	})
}
