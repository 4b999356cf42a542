/**
 * Whether a sidecar or its agent listens on the port itself. An entry that declares 15001 or 15006 keeps new pods from
 * becoming ready, and all four of 15000, 15001, 15006 and 15090 together leave a proxy without an outbound listener:
 * nothing leaves the pod, even under ALLOW_ANY. Neither the CRD nor istiod refuses them.
 *
 * @see https://istio.io/latest/docs/ops/deployment/application-requirements/#ports-used-by-istio
 */
export function isReservedPort(number: number): boolean {
  return (number >= 15_000 && number <= 15_021) || number === 15_053 || number === 15_090;
}
