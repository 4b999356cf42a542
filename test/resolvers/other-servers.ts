import { writeFileSync } from 'node:fs';
import { acceptsTcp } from '../support/probe.js';
import { startPart } from '../support/process.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';

/** DNS servers other than CoreDNS that tell by dnstap what they answer their clients. */
export type OtherServer = 'unbound' | 'bind' | 'dnsdist';

interface Surroundings {
  /** The address to listen on, port 53. */
  readonly host: string;
  /** `HOST:PORT` of the server behind it. */
  readonly upstream: string;
  /** Path of the tap's socket. */
  readonly tap: string;
}

interface ServerFiles {
  readonly command: string;
  readonly args: (directory: string) => readonly string[];
  /** Its configuration file; `DIR` stands for its directory. */
  readonly file: string;
  readonly text: (around: Surroundings) => string;
}

const SERVERS: Readonly<Record<OtherServer, ServerFiles>> = {
  unbound: {
    command: 'unbound',
    args: (directory) => ['-d', '-c', `${directory}/unbound.conf`],
    file: 'unbound.conf',
    text: ({ host, upstream, tap }) => `server:
  directory: "DIR"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  module-config: "iterator"
  do-not-query-localhost: no
  interface: ${host}
  access-control: 10.244.0.0/16 allow
remote-control:
  control-enable: no
forward-zone:
  name: "."
  forward-addr: ${upstream.replace(':', '@')}
dnstap:
  dnstap-enable: yes
  dnstap-socket-path: "${tap}"
  dnstap-log-client-query-messages: yes
  dnstap-log-client-response-messages: yes
  dnstap-log-forwarder-query-messages: yes
  dnstap-log-forwarder-response-messages: yes
`,
  },
  bind: {
    command: 'named',
    args: (directory) => ['-g', '-c', `${directory}/named.conf`],
    file: 'named.conf',
    text: ({ host, upstream, tap }) => `options {
  directory "DIR";
  listen-on port 53 { ${host}; };
  listen-on-v6 { none; };
  pid-file none;
  session-keyfile none;
  recursion yes;
  allow-recursion { any; };
  allow-query { any; };
  dnssec-validation no;
  empty-zones-enable no;
  forward only;
  forwarders { ${upstream.split(':').join(' port ')}; };
  dnstap { all; };
  dnstap-output unix "${tap}";
};
controls { };
`,
  },
  dnsdist: {
    command: 'dnsdist',
    args: (directory) => ['--supervised', '--disable-syslog', '-C', `${directory}/dnsdist.conf`],
    file: 'dnsdist.conf',
    text: ({ host, upstream, tap }) => `setLocal("${host}:53")
setACL({"10.244.0.0/16"})
newServer({address="${upstream}"}):setUp()
tap = newFrameStreamUnixLogger("${tap}")
addAction(AllRule(), DnstapLogAction("dnsdist", tap))
addResponseAction(AllRule(), DnstapLogResponseAction("dnsdist", tap))
addCacheHitResponseAction(AllRule(), DnstapLogResponseAction("dnsdist", tap))
`,
  },
};

/** Starts another DNS server in front of one. It ends with the test file. */
export async function startOtherServer(name: OtherServer, around: Surroundings): Promise<void> {
  const { command, args, file, text } = SERVERS[name];
  const directory = createTemporaryDirectory();
  writeFileSync(directory.file(file), text(around).replaceAll('DIR', directory.path));
  await startPart({
    name,
    command,
    args: args(directory.path),
    directory,
    ready: async () => acceptsTcp(around.host, 53),
  });
}
