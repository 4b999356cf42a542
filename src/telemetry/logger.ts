import type { Writable } from 'node:stream';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFields = Readonly<Record<string, unknown>>;

/** Constant message, facts as fields, an error under `err`. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  child(fields: LogFields): Logger;
}

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: 'json' | 'text';
  readonly stream: Writable;
  readonly now: () => number;
}

/** Lines waiting for a slow reader of the log; beyond this they are dropped and counted in the next line. */
const MAX_BUFFERED_BYTES = 1_048_576;

/**
 * A logger that writes one line a call and never waits: with a reader that has stopped, lines are dropped, and the next
 * line that gets through says how many in `droppedLines`.
 */
export function createLogger(options: LoggerOptions): Logger {
  const threshold = LOG_LEVELS.indexOf(options.level);
  let droppedLines = 0;
  const emit = (level: LogLevel, fields: LogFields, message: string): void => {
    if (LOG_LEVELS.indexOf(level) < threshold) return;
    if (options.stream.writableLength > MAX_BUFFERED_BYTES) {
      droppedLines += 1;
      return;
    }
    const all = droppedLines > 0 ? { ...fields, droppedLines } : fields;
    droppedLines = 0;
    const time = new Date(options.now()).toISOString();
    options.stream.write(
      options.format === 'json' ? jsonLine(time, level, all, message) : textLine(time, level, all, message),
    );
  };
  const bind = (bound: LogFields): Logger => ({
    debug: (fields, message) => emit('debug', { ...bound, ...fields }, message),
    info: (fields, message) => emit('info', { ...bound, ...fields }, message),
    warn: (fields, message) => emit('warn', { ...bound, ...fields }, message),
    error: (fields, message) => emit('error', { ...bound, ...fields }, message),
    child: (fields) => bind({ ...bound, ...fields }),
  });
  return bind({});
}

function jsonLine(time: string, level: LogLevel, fields: LogFields, message: string): string {
  return `${JSON.stringify({ time, level, msg: message, ...mapValues(fields) })}\n`;
}

function textLine(time: string, level: LogLevel, fields: LogFields, message: string): string {
  const facts = Object.entries(mapValues(fields)).map(([key, value]) => ` ${key}=${textValue(value)}`);
  return `${time.slice(11, 23)} ${level.padEnd(5)} ${message}${facts.join('')}\n`;
}

function textValue(value: unknown): string {
  if (typeof value === 'string') return /^[\w.:/@-]+$/.test(value) ? value : JSON.stringify(value);
  return JSON.stringify(value) ?? 'undefined';
}

function mapValues(fields: LogFields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, loggable(value)]));
}

/** Errors as message, code and causes: JSON.stringify would make `{}` of them. */
function loggable(value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  const code: unknown = 'code' in value ? value.code : undefined;
  return {
    name: value.name,
    message: value.message,
    ...(code === undefined ? {} : { code }),
    ...(value.cause === undefined ? {} : { cause: loggable(value.cause) }),
  };
}
