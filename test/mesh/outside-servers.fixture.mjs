// Servers of the world outside a mesh, on all addresses of the network that it runs in. Each says what it was asked for:
//
//   TLS on 443 and 8443    "tls ADDRESS PORT SNI"
//   HTTP on 80 and 8080    "http ADDRESS PORT HOST"
//   25 and 3306            "server first ADDRESS PORT", at once
//   5432                   "tcp ADDRESS PORT", after the first byte
//
// Usage: node outside-servers.fixture.mjs CERTIFICATE KEY; prints "ready".
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

const [cert, key] = process.argv.slice(2).map((file) => readFileSync(file));
const place = ({ localAddress, localPort }) => `${localAddress} ${localPort}`;
const answer = (text) => `HTTP/1.1 200 OK\r\ncontent-length: ${text.length}\r\nconnection: close\r\n\r\n${text}`;
const quiet = (socket) => socket.on('error', () => undefined);

const tls = () =>
  createTlsServer({ cert, key }, (socket) => {
    quiet(socket).once('data', () => socket.end(answer(`tls ${place(socket)} ${socket.servername || '-'}`)));
  }).on('tlsClientError', () => undefined);
const http = () =>
  createHttpServer((request, response) => {
    response.end(`http ${place(request.socket)} ${request.headers.host}`);
  });
const serverFirst = () => createServer((socket) => quiet(socket).end(`server first ${place(socket)}\n`));
const tcp = () => createServer((socket) => quiet(socket).once('data', () => socket.end(`tcp ${place(socket)}\n`)));

const SERVERS = [
  [tls, 443, 8443],
  [http, 80, 8080],
  [serverFirst, 25, 3306],
  [tcp, 5432],
];
for (const [create, ...ports] of SERVERS) {
  for (const port of ports) await once(create().listen(port, '0.0.0.0'), 'listening');
}
console.log('ready');
