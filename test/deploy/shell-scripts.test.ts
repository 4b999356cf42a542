import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, runCommand } from '../support/command.js';
import { createTemporaryDirectory } from '../support/temporary-directory.js';

/** Every file of the repository that begins as a shell script does, also those not committed yet. */
async function shellScripts(): Promise<readonly string[]> {
  const { stdout } = await runCommand('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z']);
  return stdout.split('\0').filter((path) => path !== '' && isShellScript(join(ROOT, path)));
}

function isShellScript(path: string): boolean {
  try {
    return /^#!\s*\/\S*(?:\/|env )(?:ba)?sh\b/.test(readFileSync(path, 'latin1').slice(0, 100));
  } catch {
    return false; // deleted, not committed yet; or a submodule
  }
}

describe('shellcheck', () => {
  it('passes every shell script of the repository', async () => {
    const scripts = await shellScripts();
    expect(scripts).toEqual(expect.arrayContaining(['deploy.sh', 'scripts/parts', 'scripts/setup']));
    expect((await runCommand('shellcheck', scripts)).stdout).toBe('');
  });

  it('would find a mistake', async () => {
    const file = createTemporaryDirectory().file('script');
    writeFileSync(file, '#!/bin/sh\nrm -r $1/*\n');
    expect(isShellScript(file)).toBe(true);
    await expect(runCommand('shellcheck', [file])).rejects.toMatchObject({ code: 'TEST_ERR_COMMAND_FAILED' });
  });
});
