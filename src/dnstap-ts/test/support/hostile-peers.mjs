// Many peers in a process of its own: each opens a connection, says the same bytes, and stays.
import { connect } from 'node:net';

const [path, count, hex, filler] = process.argv.slice(2);
const bytes = Buffer.concat([Buffer.from(hex, 'hex'), Buffer.alloc(Number(filler), 1)]);
let said = 0;

function open(remaining) {
  if (remaining === 0) return;
  const socket = connect(path, () => {
    socket.write(bytes, () => {
      said += 1;
      if (said === Number(count)) process.stdout.write('said\n');
    });
    open(remaining - 1);
  });
  socket.on('error', (error) => {
    // EAGAIN: the queue of connections to accept is full.
    if (error.code === 'EAGAIN') setTimeout(open, 5, remaining);
    else process.stderr.write(`${error.message}\n`);
  });
}

open(Number(count));
