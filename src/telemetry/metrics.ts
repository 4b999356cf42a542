import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';

interface Described {
  readonly name: string;
  readonly help: string;
}

/**
 * The metrics of one process. Names are `istio_discovery_<folder>_<what>_<unit>[_total]`; labels come from closed sets,
 * never a hostname, an address or a message.
 */
export class Metrics {
  readonly #registry = new Registry();

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
  }

  /** A counter that is counted elsewhere already: `read` is asked at each scrape, so the hot path knows no metric. */
  counter(name: string, help: string, read: () => number): void {
    const counter: Counter = new Counter({
      name: `istio_discovery_${name}`,
      help,
      registers: [this.#registry],
      collect: () => {
        counter.reset();
        counter.inc(read());
      },
    });
  }

  /** As {@link counter}, with one count for each value of a label. */
  counterBy(label: string, { name, help }: Described, read: () => ReadonlyMap<string, number>): void {
    const counter: Counter = new Counter({
      name: `istio_discovery_${name}`,
      help,
      labelNames: [label],
      registers: [this.#registry],
      collect: () => {
        counter.reset();
        for (const [value, count] of read()) counter.inc({ [label]: value }, count);
      },
    });
  }

  gauge(name: string, help: string, read: () => number): void {
    const gauge: Gauge = new Gauge({
      name: `istio_discovery_${name}`,
      help,
      registers: [this.#registry],
      collect: () => gauge.set(read()),
    });
  }

  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;

  /** All metrics in the Prometheus text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }
}
