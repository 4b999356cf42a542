import { runCommand } from '../support/command.js';
import { blocksOf, readPage } from './documented-commands.js';

/**
 * Every page with commands, and the test that reads them from there and runs them. A page that is not here fails, and so does
 * a command that its test leaves out and that is not below.
 */
const RUN_BY: Readonly<Record<string, string>> = {
  'README.md': 'test/docs/readme.test.ts',
  'deploy/README.md': 'test/docs/deploy-commands.test.ts',
  'deploy/OPERATIONS.md': 'test/docs/deploy-commands.test.ts',
  'src/dnstap-ts/README.md': 'src/dnstap-ts/test/readme.test.ts',
};

async function pagesWithCommands(): Promise<readonly string[]> {
  const { stdout } = await runCommand('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md']);
  return stdout
    .split('\n')
    .filter((page) => page !== '' && page !== 'CHANGELOG.md')
    .filter((page) => blocksOf(page, 'sh').length > 0)
    .sort();
}

it('every page with commands has a test that runs them', async () => {
  expect(await pagesWithCommands()).toEqual(Object.keys(RUN_BY).sort());
});

it.each(Object.entries(RUN_BY))('the commands of %s are read from it by %s', (page, test) => {
  // The library is tested from its own directory, so that it stays a package of its own.
  const name = page.startsWith('src/dnstap-ts/') ? 'README.md' : page;
  expect(readPage(test)).toContain(`'${name}'`);
});
