// Looks names up with Node, one after the other, and prints a line for each: the name and its addresses. The first argument
// is how: `lookup` asks the system's resolver, `resolve` c-ares.
import { lookup, resolve4, resolve6 } from 'node:dns/promises';

const [how, ...names] = process.argv.slice(2);
for (const name of names) console.log([name, ...(await addressesOf(name))].join(' '));

async function addressesOf(name) {
  const questions =
    how === 'lookup'
      ? [lookup(name, { all: true }).then((found) => found.map(({ address }) => address))]
      : [resolve4(name), resolve6(name)];
  const answers = await Promise.allSettled(questions);
  return answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
}
