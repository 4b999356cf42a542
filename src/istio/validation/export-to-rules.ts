import { isLabel } from './domain-syntax.js';
import type { Report } from './finding.js';
import type { SpecView } from './spec-view.js';

/** `.` is the own namespace, `*` everybody, `~` nobody; the last two stand alone. */
export function checkExportTo({ exportTo, namespace }: SpecView, report: Report): void {
  const seen = new Set<string>();
  for (const { value, path } of exportTo) {
    const meaning = value === '.' ? namespace : value;
    if (seen.has(meaning)) report('export-to', path, `${value} is there before`);
    seen.add(meaning);
    if (value === '*' || value === '~') {
      if (exportTo.length > 1) report('export-to', path, `${value} cannot stand with others`);
    } else if (value !== '.' && !isLabel(value)) {
      report('export-to', path, `${JSON.stringify(value)} is no namespace`);
    }
  }
}
