import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../support/command.js';

/** What a command of a page needs besides a checkout. */
export const needsCluster = (command: string): boolean => /^(?:kubectl|helm|docker|\.\/deploy\.sh) /.test(command);
/** It goes into a pod that runs. */
export const needsPods = (command: string): boolean => / (?:exec|delete pod) /.test(command);

/** The text of a page of the documentation. */
export function readPage(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8');
}

/** The code blocks of a page in a language. */
export function blocksOf(page: string, language: string): readonly string[] {
  const block = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm');
  return Array.from(readPage(page).matchAll(block), ([, text = '']) => text);
}

/**
 * The commands that a page tells its readers to type: each line of its `sh` blocks without the comment, and what stands in
 * its text as a whole command of these tools.
 */
export function commandsOf(page: string): readonly string[] {
  const lines = blocksOf(page, 'sh').flatMap((block) => block.split('\n'));
  const prose = readPage(page).replaceAll(/^```[\s\S]*?^```$/gm, '');
  const inText = Array.from(
    prose.matchAll(/`((?:kubectl|helm|\.\/deploy\.sh) [^`]* [^`]*)`/g),
    ([, text = '']) => text,
  );
  const commands = [...lines, ...inText].map((line) => line.replace(/\s+#.*$/, '').trim());
  return [...new Set(commands.filter((command) => command !== ''))];
}
