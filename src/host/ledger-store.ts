import type { RejectionCount } from '../observation/rejection.js';
import type { BlindWindow } from './blind-window.js';
import type { HostRule } from './host-rule.js';
import type { AwaitedDeletion, Ledger, SeenChange, SeenEntries, StoredRules } from './host-store.js';
import type { SourceReport, SourceStatus } from './source.js';

/** A store that leaves what is not about hosts to its ledger. */
export abstract class LedgerStore implements Ledger {
  protected abstract readonly ledger: Ledger;

  reportSource(report: SourceReport): Promise<SourceStatus> {
    return this.ledger.reportSource(report);
  }

  sources(): Promise<readonly SourceStatus[]> {
    return this.ledger.sources();
  }

  recordBlindWindow(window: BlindWindow): Promise<void> {
    return this.ledger.recordBlindWindow(window);
  }

  blindWindows(): Promise<readonly BlindWindow[]> {
    return this.ledger.blindWindows();
  }

  rules(): Promise<StoredRules> {
    return this.ledger.rules();
  }

  setRules(rules: readonly HostRule[], version: number): Promise<boolean> {
    return this.ledger.setRules(rules, version);
  }

  awaitedDeletions(): Promise<readonly AwaitedDeletion[]> {
    return this.ledger.awaitedDeletions();
  }

  awaitDeletions(deletions: readonly AwaitedDeletion[]): Promise<void> {
    return this.ledger.awaitDeletions(deletions);
  }

  endDeletions(entries: readonly Pick<AwaitedDeletion, 'namespace' | 'name'>[]): Promise<void> {
    return this.ledger.endDeletions(entries);
  }

  seenEntries(): Promise<SeenEntries> {
    return this.ledger.seenEntries();
  }

  noteSeen(change: SeenChange): Promise<void> {
    return this.ledger.noteSeen(change);
  }

  rejections(): Promise<readonly RejectionCount[]> {
    return this.ledger.rejections();
  }
}
