// Command print-fields decodes a Frame Streams file of dnstap with golang-dnstap and prints every field of every frame, one
// line of JSON a frame: names as in dnstap.proto, bytes as hex, enumerations as numbers, 64-bit numbers as text.
// golang-dnstap's own JSON leaves out `extra` and shows DNS messages as miekg/dns words them.
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	dnstap "github.com/dnstap/golang-dnstap"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: print-fields FILE")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "print-fields:", err)
		os.Exit(1)
	}
}

func run(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	reader, err := dnstap.NewReader(file, &dnstap.ReaderOptions{})
	if err != nil {
		return err
	}
	output := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(output)
	frame := make([]byte, dnstap.MaxPayloadSize)
	for {
		n, err := reader.ReadFrame(frame)
		if errors.Is(err, io.EOF) {
			return output.Flush()
		}
		if err != nil {
			return err
		}
		if err := encoder.Encode(decode(frame[:n])); err != nil {
			return err
		}
	}
}

func decode(frame []byte) map[string]any {
	var decoded dnstap.Dnstap
	if err := proto.Unmarshal(frame, &decoded); err != nil {
		return map[string]any{"error": err.Error()}
	}
	return fields(decoded.ProtoReflect())
}

// fields has what is present, and under unknown_fields the bytes of what the schema of golang-dnstap does not know.
func fields(message protoreflect.Message) map[string]any {
	present := map[string]any{}
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		present[string(field.Name())] = show(field.Kind(), value)
		return true
	})
	if unknown := message.GetUnknown(); len(unknown) > 0 {
		present["unknown_fields"] = hex.EncodeToString(unknown)
	}
	return present
}

func show(kind protoreflect.Kind, value protoreflect.Value) any {
	switch kind {
	case protoreflect.MessageKind:
		return fields(value.Message())
	case protoreflect.BytesKind:
		return hex.EncodeToString(value.Bytes())
	case protoreflect.EnumKind:
		return value.Enum()
	case protoreflect.Uint64Kind:
		return strconv.FormatUint(value.Uint(), 10)
	default:
		return value.Interface()
	}
}
