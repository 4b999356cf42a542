// CoreDNS-shaped CLIENT_RESPONSE frames of about 210 octets: identity, version, IPv4 client in 16 octets (as CoreDNS
// before 1.14.5 sends it), times, and a response with a CNAME and two addresses. Everything follows from the counts.

const CLIENTS = 200;
const NAMES = 500;

/** Frames with their length in front, as they go over the wire, glued together. */
export function encodeFrames(count) {
  const frames = [];
  for (let i = 0; i < count; i++) {
    const frame = encodeFrame(i);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(frame.length);
    frames.push(length, frame);
  }
  return Buffer.concat(frames);
}

function encodeFrame(index) {
  const client = (index * 7) % CLIENTS;
  const address = Buffer.concat([
    Buffer.from('00000000000000000000ffff', 'hex'),
    Buffer.from([10, 244, client >> 8, client & 255]),
  ]);
  const seconds = 1_767_268_800 + Math.floor(index / 20_000);
  const nanoseconds = Buffer.alloc(4);
  nanoseconds.writeUInt32LE((index % 20_000) * 50_000);
  const message = Buffer.concat([
    varintField(1, 6), // CLIENT_RESPONSE
    varintField(2, 1), // INET
    varintField(3, 1), // UDP
    bytesField(4, address),
    varintField(6, 30_000 + (index % 30_000)),
    varintField(8, seconds),
    Buffer.concat([tag(9, 5), nanoseconds]),
    varintField(12, seconds),
    Buffer.concat([tag(13, 5), nanoseconds]),
    bytesField(14, encodeResponse(index % NAMES, index & 0xffff)),
  ]);
  return Buffer.concat([
    bytesField(1, Buffer.from('coredns-7d764666f9-abcde')),
    bytesField(2, Buffer.from('CoreDNS-1.11.3')),
    bytesField(14, message),
    varintField(15, 1),
  ]);
}

function encodeResponse(name, id) {
  const header = Buffer.from('000081800001000300000000', 'hex');
  header.writeUInt16BE(id);
  const question = Buffer.concat([encodeName(`api-${name}.service.example.com`), Buffer.from('00010001', 'hex')]);
  const target = encodeName(`edge-${name}.cdn.example.net`);
  const cname = Buffer.concat([Buffer.from('c00c000500010000012c', 'hex'), uint16(target.length), target]);
  const targetOffset = 12 + question.length + cname.length - target.length;
  const owner = uint16(0xc000 | targetOffset);
  // Servers rotate the addresses of an answer.
  const last = id % 2 === 0 ? [1, 2] : [2, 1];
  const addresses = last.map((octet) =>
    Buffer.concat([owner, Buffer.from('000100010000003c0004', 'hex'), Buffer.from([192, 0, 2, (name + octet) & 255])]),
  );
  return Buffer.concat([header, question, cname, ...addresses]);
}

const encodeName = (name) =>
  Buffer.concat([
    ...name.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)])),
    Buffer.alloc(1),
  ]);
const uint16 = (value) => Buffer.from([value >> 8, value & 255]);

function varint(value) {
  const octets = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...octets, rest]);
    octets.push((rest % 128) | 128);
  }
}
const tag = (field, wireType) => varint(field * 8 + wireType);
const varintField = (field, value) => Buffer.concat([tag(field, 0), varint(value)]);
const bytesField = (field, bytes) => Buffer.concat([tag(field, 2), varint(bytes.length), bytes]);
