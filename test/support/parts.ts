import { ROOT, runCommand } from './command.js';
import { TestSupportError } from './test-support-error.js';

/** What scripts/parts builds; their versions are in test/parts. */
export type PartName =
  | 'cni-bridge'
  | 'cni-host-local'
  | 'containerd'
  | 'containerd-shim-runc-v2'
  | 'coredns'
  | 'coredns-1.10'
  | 'coredns-1.11'
  | 'coredns-1.14'
  | 'ctr'
  | 'dnstap'
  | 'etcd'
  | 'gateway-api-crds'
  | 'go-resolver'
  | 'golang-dnstap-bench'
  | 'golang-dnstap-fields'
  | 'helm'
  | 'istio-crds'
  | 'istio-crds-1.22'
  | 'istioctl'
  | 'kube-apiserver'
  | 'kube-controller-manager'
  | 'kube-proxy'
  | 'kube-scheduler'
  | 'kubectl'
  | 'kubelet'
  | 'parse-corefile'
  | 'parse-promql'
  | 'pilot-discovery'
  | 'print-proxy-config'
  | 'prometheus-crds';

/** A cold build of one part takes up to three minutes on two cores. */
const BUILD_TIMEOUT_MS = 15 * 60_000;

const paths = new Map<PartName, Promise<string>>();

/**
 * Where the program (or the file) of a part lies; builds it first if it is missing, which takes minutes, so `make test`
 * builds all parts before the tests.
 *
 * @throws TestSupportError `TEST_ERR_PART_NOT_BUILT`
 */
export async function partPath(name: PartName): Promise<string> {
  const path = paths.get(name) ?? buildPart(name);
  paths.set(name, path);
  return path;
}

async function buildPart(name: PartName): Promise<string> {
  try {
    const { stdout } = await runCommand(`${ROOT}/scripts/parts`, [name], {
      timeoutMs: BUILD_TIMEOUT_MS,
    });
    return stdout.trim();
  } catch (cause) {
    throw new TestSupportError('TEST_ERR_PART_NOT_BUILT', `part ${name} could not be built`, { cause });
  }
}
