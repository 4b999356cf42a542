import { connect } from 'node:net';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeDnstap, DnstapView, encodeDnstap, Receiver, readFrameStreamFile, FrameStreamFileWriter, formatAddress } from '../src/index.js';

const Q = '0a026e31120276317243080510011801221000000000000000000000ffff7f00000130fc8e0340cdc08fd8064d8e91a122521a123401000001000000000000017801740474657374000001000178' + '01';
const R = '0a026e31120276317266080610011801221000000000000000000000ffff7f00000130fc8e0340cdc08fd8064d8e91a12260cdc08fd8066dc2cfa5227232123485000001000100000000017801740474657374000001000101780174047465737400000100010000000500040a0000017801';

it('decodes', () => {
  const b = Buffer.from(R, 'hex');
  const v = new DnstapView();
  expect(v.scan(b, 0, b.length)).toBe(true);
  console.log(v.type, v.queryPort, v.queryTimeSec, v.queryTimeNsec, v.responseTimeNsec, formatAddress(b, v.queryAddressStart, v.queryAddressLength), v.responseMessageLength);
  const d = decodeDnstap(b);
  console.log(d, d.message?.queryTimeSec);
  expect(Buffer.from(encodeDnstap(d)).length).toBe(b.length);
});

it('receives', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'x-'));
  const file = await FrameStreamFileWriter.open(join(dir, 'f'), { atomic: true });
  const got: string[] = [];
  const r = new Receiver({ endpoint: join(dir, 's'), onFrame: (b, s, e) => { got.push(b.toString('hex', s, e)); } });
  await r.listen();
  const c = connect(join(dir, 's'));
  const CT = '70726f746f6275663a646e737461702e446e73746170';
  c.write(Buffer.from('0000000000000022000000040000000100000016' + CT, 'hex'));
  c.write(Buffer.from('0000000000000022000000020000000100000016' + CT, 'hex'));
  for (let i = 0; i < 3; i++) c.write(Buffer.from('00000072' + R, 'hex'));
  c.write(Buffer.from('000000000000000400000003', 'hex'));
  const out: Buffer[] = [];
  c.on('data', (d: Buffer) => out.push(d));
  await new Promise((res) => c.on('close', res));
  console.log(Buffer.concat(out).toString('hex'), r.statistics());
  expect(got).toEqual([R, R, R]);
  for (const g of got) await file.write(Buffer.from(g, 'hex'));
  await file.close();
  console.log(await readFrameStreamFile(join(dir, 'f'), { onFrame: () => {} }));
  await r.close();
  console.log(Q.length);
});
