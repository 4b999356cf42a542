import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A certificate with its key, PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** An authority that issues certificates, made by openssl in a directory of its own. */
export class Authority {
  readonly #directory: string = mkdtempSync(join(tmpdir(), 'dnstap-ts-ca-'));
  readonly cert: string;
  #serial = 0;

  constructor(name = 'test authority') {
    this.#openssl('req', '-x509', '-days', '2', ...newKey('ca.key'), '-subj', `/CN=${name}`, '-out', 'ca.pem');
    this.cert = this.#read('ca.pem');
  }

  /** @param names alternative names, for example `DNS:localhost` */
  issue(commonName: string, names: readonly string[] = []): Certificate {
    const file = `c${++this.#serial}`;
    const subject = ['-subj', `/CN=${commonName}`];
    this.#openssl('req', ...newKey(`${file}.key`), ...subject, '-out', `${file}.csr`);
    writeFileSync(join(this.#directory, 'ext'), names.length > 0 ? `subjectAltName=${names.join(',')}` : '');
    const issuer = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-set_serial', String(this.#serial), '-days', '2'];
    this.#openssl('x509', '-req', '-in', `${file}.csr`, ...issuer, '-extfile', 'ext', '-out', `${file}.pem`);
    return { cert: this.#read(`${file}.pem`), key: this.#read(`${file}.key`) };
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true });
  }

  #read(file: string): string {
    return readFileSync(join(this.#directory, file), 'utf8');
  }

  #openssl(...args: readonly string[]): void {
    execFileSync('openssl', args, { cwd: this.#directory, stdio: 'pipe' });
  }
}

function newKey(file: string): readonly string[] {
  return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', file];
}
