import { InvalidArgumentError } from 'commander';

const UNITS_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const DURATION = /^(\d{1,6})([smhd])$/;

/** Parses `90s`, `15m`, `12h` or `30d` into milliseconds, for a flag of a command. */
export function parseDurationMs(text: string): number {
  const [, number, unit = ''] = DURATION.exec(text) ?? [];
  const unitMs = UNITS_MS[unit];
  if (number === undefined || unitMs === undefined) {
    throw new InvalidArgumentError('expected a number with s, m, h or d, such as 12h');
  }
  return Number(number) * unitMs;
}
