/**
 * What each component says of itself. Liveness is that the process answers at all; readiness is for the reconciler's
 * Service and for people. CoreDNS's sidecar must have no readiness probe: it would take the DNS pod out of service.
 */
export class Health {
  readonly #checks = new Map<string, () => string | undefined>();

  /** `check` returns why the component is not ready, or undefined when it is. */
  register(component: string, check: () => string | undefined): void {
    this.#checks.set(component, check);
  }

  /** Component names with the reason, only of those that are not ready. */
  notReady(): ReadonlyMap<string, string> {
    const reasons = new Map<string, string>();
    for (const [component, check] of this.#checks) {
      const reason = check();
      if (reason !== undefined) reasons.set(component, reason);
    }
    return reasons;
  }
}
