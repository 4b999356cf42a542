import type { Collector } from '../intake/dnstap/collector.js';
import type { FloodGuard } from '../intake/flood-guard.js';
import type { Recorder } from '../intake/recorder.js';
import type { ObservationTable } from '../observation/observation-table.js';
import type { Metrics } from '../telemetry/metrics.js';

interface CollectorParts {
  readonly table: ObservationTable;
  readonly recorder: Recorder;
  readonly collector: Collector;
  readonly guard: FloodGuard;
}

export function observeCollector(metrics: Metrics, { table, recorder, collector, guard }: CollectorParts): void {
  observeConnections(metrics, collector);
  observeTable(metrics, table);
  metrics.counter(
    'intake_over_cap_total',
    'look-ups not recorded: their client had its share of hosts',
    () => guard.statistics().over,
  );
  metrics.gauge('intake_tunnels', 'parents whose children count in one row', () => guard.tunnels.length);
  metrics.counter(
    'host_recorded_total',
    'observations that the store acknowledged',
    () => recorder.statistics().observations,
  );
  metrics.counter('host_record_failures_total', 'calls of the store that failed', () => recorder.statistics().failures);
}

function observeConnections(metrics: Metrics, collector: Collector): void {
  metrics.gauge(
    'intake_connections',
    'DNS servers connected by dnstap',
    () => collector.connections().filter(({ started }) => started).length,
  );
  metrics.counter('intake_frames_total', 'dnstap frames received', () => collector.statistics().frames);
  metrics.counter(
    'intake_oversize_frames_total',
    'dnstap frames skipped for their length',
    () => collector.statistics().oversizeFrames,
  );
  metrics.counterBy(
    'code',
    { name: 'intake_refused_connections_total', help: 'connections over the limit or not allowed' },
    () => collector.statistics().refusedConnections,
  );
  metrics.counterBy(
    'code',
    { name: 'intake_failed_connections_total', help: 'connections ended by an error' },
    () => collector.statistics().failedConnections,
  );
}

function observeTable(metrics: Metrics, table: ObservationTable): void {
  metrics.counter('observation_responses_total', 'CLIENT_RESPONSE messages', () => table.statistics().responses);
  metrics.counterBy(
    'reason',
    { name: 'observation_rejected_total', help: 'responses that taught nothing' },
    () => table.statistics().rejected,
  );
  metrics.counter('observation_resets_total', 'times that the tables were full', () => table.statistics().resets);
  metrics.counter(
    'observation_lost_total',
    'observations dropped because the store was away too long',
    () => table.statistics().lost,
  );
}
