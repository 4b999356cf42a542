import { Option, type Command } from 'commander';
import { loadConfiguration, processEnvironment } from '../config/load.js';
import type { Configuration, SectionName } from '../config/schema.js';
import { SETTINGS, type Setting } from '../config/settings.js';

/** Adds `--config` and the flags of some sections to a command. */
export function addSettings(command: Command, sections: readonly SectionName[]): Command {
  command.option('--config <FILE>', 'YAML file of settings, by section');
  for (const setting of SETTINGS) {
    if (sections.includes(setting.section)) command.addOption(toOption(setting));
  }
  return command;
}

/**
 * The settings of a command's flags, the environment and its `--config` file.
 *
 * @throws ConfigurationError
 */
export function readSettings(command: Command): Configuration {
  const values: Record<string, unknown> = command.opts();
  const flags = Object.fromEntries(
    SETTINGS.map((setting) => [setting.flag, values[toOption(setting).attributeName()]]),
  ) as Parameters<typeof loadConfiguration>[0]['flags']; // what commander and toOption() make: text, lists and booleans
  const file = values['config'];
  return loadConfiguration({
    flags,
    environment: processEnvironment(),
    file: typeof file === 'string' ? file : undefined,
  });
}

function toOption(setting: Setting): Option {
  const name = `${setting.short === undefined ? '' : `-${setting.short}, `}--${setting.flag}`;
  const option = new Option(
    setting.type === 'boolean' ? `${name} [true|false]` : `${name} <${setting.argument}>`,
    `${setting.description}${describeDefault(setting)}`,
  );
  if (setting.type === 'list') {
    option.argParser((value: string, before: readonly string[] | undefined) => [...(before ?? []), value]);
  }
  return option;
}

function describeDefault({ defaultValue, allowed, argument }: Setting): string {
  const choices = allowed === argument ? '' : `; ${allowed}`;
  const isEmpty =
    defaultValue === undefined || defaultValue === '' || (Array.isArray(defaultValue) && defaultValue.length === 0);
  return isEmpty ? ` (${allowed})`.replace(` (${argument})`, '') : ` (default ${textOf(defaultValue)}${choices})`;
}

function textOf(value: unknown): string {
  return Array.isArray(value) ? value.join() : JSON.stringify(value).replace(/^"|"$/g, '');
}
