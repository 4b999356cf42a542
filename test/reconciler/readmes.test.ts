import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { BLIND_REASONS } from '../../src/host/blind-window.js';
import { RULE_ACTIONS } from '../../src/host/host-rule.js';
import { HOST_STORE_ERROR_CODES } from '../../src/host/host-store-error.js';
import { TRANSITION_REASONS } from '../../src/host/lifecycle.js';
import { ISTIO_ERROR_CODES } from '../../src/istio/istio-error.js';
import { KUBERNETES_ERROR_CODES } from '../../src/kubernetes/kubernetes-error.js';
import {
  CREATE_REASONS,
  DELETE_REASONS,
  KEEP_REASONS,
  SKIP_REASONS,
  UPDATE_REASONS,
} from '../../src/plan/service-entry-plan.js';
import { REJECTIONS } from '../../src/observation/rejection.js';
import { LOST_REASONS } from '../../src/reconciler/absent-entries.js';
import { RECONCILER_ERROR_CODES } from '../../src/reconciler/reconciler-error.js';

/** The words in code style of a folder's README. */
function wordsOf(folder: string): readonly string[] {
  const path = fileURLToPath(new URL(`../../src/${folder}/README.md`, import.meta.url));
  return [...readFileSync(path, 'utf8').matchAll(/`([A-Za-z_-]+)`/g)].map(([, word = '']) => word);
}

describe('the README of a folder', () => {
  it.each<[string, readonly string[]]>([
    ['istio', ISTIO_ERROR_CODES],
    ['kubernetes', KUBERNETES_ERROR_CODES],
    ['reconciler', RECONCILER_ERROR_CODES],
  ])('names the error codes of %s, and no others', (folder, codes) => {
    expect(wordsOf(folder).filter((word) => word.includes('_ERR_'))).toEqual([...codes]);
  });

  it('names every reason of a rejection in a row of its own, and no others', () => {
    const path = fileURLToPath(new URL('../../src/observation/README.md', import.meta.url));
    const rows = [...readFileSync(path, 'utf8').matchAll(/^\| `([a-z-]+)`/gm)].map(([, reason]) => reason);
    expect(rows).toEqual(Object.keys(REJECTIONS));
  });

  it('names every error, every reason of a step and of blindness, and every rule about hosts, and no others', () => {
    const path = fileURLToPath(new URL('../../src/host/README.md', import.meta.url));
    // URLs of stores have a colon.
    const rows = [...readFileSync(path, 'utf8').matchAll(/^\| `([A-Za-z_-]+)[` ]/gm)].map(([, word]) => word);
    const lists = [Object.keys(TRANSITION_REASONS), Object.keys(BLIND_REASONS), RULE_ACTIONS, HOST_STORE_ERROR_CODES];
    expect(rows).toEqual(lists.flat());
  });

  it('names every reason why an entry is lost', () => {
    const words = wordsOf('reconciler');
    expect(Object.keys(LOST_REASONS).filter((reason) => !words.includes(reason))).toEqual([]);
  });

  it('names every reason of a plan', () => {
    const reasons = [CREATE_REASONS, UPDATE_REASONS, DELETE_REASONS, KEEP_REASONS, SKIP_REASONS].flat();
    expect(reasons.filter((reason) => !wordsOf('plan').includes(reason))).toEqual([]);
  });
});
