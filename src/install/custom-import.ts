import { checkCorefile } from './corefile/check-corefile.js';
import { lexCorefile } from './corefile/lexer.js';
import type { LiveCorefile } from './live-corefile.js';

/** Our own key in ConfigMap `coredns-custom`. */
export const CUSTOM_KEY = 'istio-discovery.override';

const ENDPOINT = '/tap.sock'; // whatever it is

/**
 * Whether a server block for external names imports our key of ConfigMap `coredns-custom`. Not every CoreDNS that mounts it
 * imports more than further server blocks (`*.server`) from it.
 */
export function importsCustomKey({ text, files, environment }: LiveCorefile): boolean {
  const words = lexCorefile(Buffer.from(text)).tokens.map((token) => token.text);
  const patterns = words.filter((word, index) => words[index - 1] === 'import' && word.endsWith('*.override'));
  const ours = patterns.map(
    (pattern) =>
      [`${pattern.slice(0, -'*.override'.length)}${CUSTOM_KEY}`, Buffer.from(`dnstap ${ENDPOINT} full\n`)] as const,
  );
  const check = checkCorefile(text, { files: new Map([...files, ...ours]), environment });
  return !('refused' in check) && check.blocks.some(({ taps }) => taps.some(({ endpoint }) => endpoint === ENDPOINT));
}
