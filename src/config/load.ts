import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { parseDocument } from 'yaml';
import { configurationSchema, type Configuration } from './schema.js';
import { ENVIRONMENT_PREFIX, SETTINGS, type Setting } from './settings.js';

/** One thing that is wrong with the settings. */
export interface ConfigurationProblem {
  readonly setting: string;
  /** As text; secrets as `[redacted]`. */
  readonly value: string;
  readonly allowed: string;
  /** `flag --store`, `environment ISTIO_DISCOVERY_STORE_URL`, `file config.yaml`. */
  readonly from: string;
}

/** All that is wrong with the settings, at once. Exit code 2. */
export class ConfigurationError extends Error {
  readonly code = 'CONFIGURATION_INVALID';
  readonly problems: readonly ConfigurationProblem[];

  constructor(problems: readonly ConfigurationProblem[]) {
    super(
      problems
        .map(({ setting, value, allowed, from }) => `${setting}: got ${value} (${from}), allowed: ${allowed}`)
        .join('\n'),
    );
    this.name = 'ConfigurationError';
    this.problems = problems;
  }
}

export interface ConfigurationSources {
  /** Values of flags by flag name without dashes; text, or a list of texts for a repeatable flag. */
  readonly flags: Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Path of a YAML or JSON file. */
  readonly file?: string | undefined;
}

/** The environment of this process: the only place that reads it. */
export function processEnvironment(): ConfigurationSources['environment'] {
  return process.env;
}

/** Whether this is a pod: the kubelet tells every container where the API server is. */
export function isInCluster(environment: ConfigurationSources['environment']): boolean {
  return environment['KUBERNETES_SERVICE_HOST'] !== undefined;
}

/** Where the embedded store is kept unless told: the user's state directory (XDG Base Directory Specification). */
export function defaultStateDirectory(environment: ConfigurationSources['environment']): string {
  const base = environment['XDG_STATE_HOME'];
  const state = base !== undefined && isAbsolute(base) ? base : join(homedir(), '.local', 'state');
  return join(state, 'istio-discovery');
}

/** Not a setting itself, but where settings come from: `--config` as an environment variable. */
const FILE_VARIABLE = 'ISTIO_DISCOVERY_CONFIG';

interface Given {
  readonly setting: Setting;
  readonly value: unknown;
  readonly from: string;
}

/**
 * Merges the sources (flags over environment over file over defaults) and checks the result.
 *
 * @throws ConfigurationError naming every problem: the setting, its value, what is allowed, and where it came from.
 */
export function loadConfiguration(sources: ConfigurationSources): Configuration {
  const problems: ConfigurationProblem[] = [];
  const given = new Map<string, Given>();
  const sequence = [
    ...fromFile(sources, problems),
    ...fromEnvironment(sources.environment, problems),
    ...fromFlags(sources.flags),
  ];
  for (const entry of sequence) given.set(entry.setting.path, entry);

  const tree: Record<string, Record<string, unknown>> = {};
  for (const { setting, value } of given.values()) {
    (tree[setting.section] ??= {})[setting.key] = value;
  }
  const parsed = configurationSchema.safeParse(tree);
  if (parsed.success && problems.length === 0) return parsed.data;
  for (const issue of parsed.error?.issues ?? []) {
    const path = issue.path.slice(0, 2).join('.');
    if (problems.some(({ setting }) => setting === path)) continue;
    const entry = given.get(path);
    problems.push(
      entry === undefined
        ? { setting: path, value: 'nothing', allowed: issue.message, from: 'default' }
        : problemOf(entry, issue),
    );
  }
  throw new ConfigurationError(problems.sort((a, b) => (a.setting < b.setting ? -1 : 1)));
}

function problemOf(
  { setting, value, from }: Given,
  issue: { readonly code?: string; readonly message: string },
): ConfigurationProblem {
  return {
    setting: setting.path,
    value: setting.secret ? '[redacted]' : JSON.stringify(value),
    allowed: issue.code === 'custom' ? issue.message : setting.allowed,
    from,
  };
}

function fromFlags(flags: ConfigurationSources['flags']): Given[] {
  return SETTINGS.flatMap((setting) => {
    const value = flags[setting.flag];
    return value === undefined ? [] : [{ setting, value: convert(setting, value), from: `flag --${setting.flag}` }];
  });
}

// Kubernetes puts the addresses of Services into the environment of pods: a Service `istio-discovery` gives
// ISTIO_DISCOVERY_SERVICE_HOST and ISTIO_DISCOVERY_PORT_6000_TCP_ADDR, which are no settings of ours.
const SERVICE_LINK = /_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_[A-Z]+)?)?)$/;

function fromEnvironment(environment: ConfigurationSources['environment'], problems: ConfigurationProblem[]): Given[] {
  const byName = new Map(SETTINGS.map((setting) => [setting.environment, setting]));
  const given: Given[] = [];
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined || !name.startsWith(ENVIRONMENT_PREFIX)) continue;
    const setting = byName.get(name);
    if (setting !== undefined) {
      given.push({ setting, value: convert(setting, value), from: `environment ${name}` });
    } else if (name !== FILE_VARIABLE && !SERVICE_LINK.test(name)) {
      problems.push(unknown(name, value, `environment ${name}`, [...byName.keys()]));
    }
  }
  return given;
}

/** Flags and environment variables are text; only the schema knows what they mean. What does not convert stays text. */
function convert(setting: Setting, value: string | boolean | readonly string[]): unknown {
  if (setting.type === 'list') return typeof value === 'string' ? splitList(value) : value;
  if (typeof value !== 'string') return value;
  if (setting.type === 'boolean') return value === 'true' ? true : value === 'false' ? false : value;
  if (setting.type === 'number') return /^-?\d+(?:\.\d+)?$/.test(value) ? Number(value) : value;
  return value;
}

/** A JSON array, or one item a line, or, in a single line, items between commas. */
function splitList(text: string): unknown {
  const trimmed = text.trim();
  if (trimmed.startsWith('[')) {
    try {
      return JSON.parse(trimmed);
    } catch {
      return text; // which no list takes, so that it is reported with what is allowed
    }
  }
  return text
    .split(text.includes('\n') ? '\n' : ',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function fromFile(sources: ConfigurationSources, problems: ConfigurationProblem[]): Given[] {
  const file = sources.file ?? sources.environment[FILE_VARIABLE];
  if (file === undefined) return [];
  const from = `file ${file}`;
  const tree = readTree(file, sources.file === undefined ? `environment ${FILE_VARIABLE}` : 'flag --config', problems);
  const given: Given[] = [];
  for (const [section, body] of Object.entries(tree)) {
    if (!isObject(body)) {
      problems.push(notASection(section, body, from));
      continue;
    }
    for (const [key, value] of Object.entries(body)) {
      const setting = SETTINGS.find(({ path }) => path === `${section}.${key}`);
      if (setting !== undefined) given.push({ setting, value, from });
      else
        problems.push(
          unknown(
            `${section}.${key}`,
            value,
            from,
            SETTINGS.map(({ path }) => path),
          ),
        );
    }
  }
  return given;
}

function notASection(name: string, value: unknown, from: string): ConfigurationProblem {
  const settings = SETTINGS.filter(({ section }) => section === name).map(({ key }) => key);
  if (settings.length === 0) return unknown(name, value, from, [...new Set(SETTINGS.map(({ section }) => section))]);
  return { setting: name, value: JSON.stringify(value), allowed: `a section with ${settings.join(', ')}`, from };
}

function readTree(file: string, from: string, problems: ConfigurationProblem[]): Record<string, unknown> {
  const fail = (why: string): Record<string, unknown> => {
    const allowed = `a YAML file of sections with settings (${why})`;
    problems.push({ setting: 'config', value: JSON.stringify(file), allowed, from });
    return {};
  };
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (err) {
    return fail(err instanceof Error ? err.message : String(err));
  }
  const document = parseDocument(text);
  if (document.errors[0] !== undefined) {
    return fail(document.errors[0].message.replace(/:?\n[^]*/, '')); // below it the parser quotes the lines
  }
  const tree: unknown = document.toJS() ?? {};
  return isObject(tree) ? tree : fail(`it holds ${JSON.stringify(tree)}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const LIKE_A_SECRET = /pass|secret|token|key/i;

function unknown(name: string, value: unknown, from: string, names: readonly string[]): ConfigurationProblem {
  const nearest = names.map((known) => ({ known, distance: editDistance(name, known) }));
  nearest.sort((a, b) => a.distance - b.distance || (a.known < b.known ? -1 : 1));
  const suggestions = nearest.slice(0, 3).map(({ known }) => known);
  // A misspelt secret must not show either.
  const isSecret = LIKE_A_SECRET.test(name) || suggestions.some((known) => SECRET_NAMES.has(known));
  return {
    setting: `${name} (unknown)`,
    value: isSecret ? '[redacted]' : JSON.stringify(value),
    allowed: `a known setting; nearest: ${suggestions.join(', ')}`,
    from,
  };
}

const SECRET_NAMES: ReadonlySet<string> = new Set(
  SETTINGS.filter(({ secret }) => secret).flatMap(({ path, environment }) => [path, environment]),
);

/** Levenshtein distance, for "did you mean". */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitute, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/**
 * Reads the file that a setting names.
 *
 * @throws ConfigurationError
 */
export function readSettingFile(setting: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (err) {
    const why = (err as NodeJS.ErrnoException).code ?? String(err); // of the file system
    throw new ConfigurationError([
      { setting, value: path, allowed: `a file that can be read (${why})`, from: 'settings' },
    ]);
  }
}
