import { V1MicroTime } from '@kubernetes/client-node';

/** A time as Kubernetes' MicroTime fields want it: with six digits after the point; three are refused. */
export function formatMicroTime(unixMs: number): string {
  return new V1MicroTime(unixMs).toISOString();
}
