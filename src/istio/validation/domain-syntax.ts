/**
 * Syntax of names as istiod reads it: RFC 1123 labels in any case.
 *
 * @see istio/istio pkg/config/labels/instance.go and pkg/config/validation/agent/validation.go
 */
const LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i;
const STARRED_LABEL = /^(?:\*|(?:\*-?)?[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)$/i;
const DIGITS = /^[+-]?[0-9]+$/; // what Go's strconv.Atoi takes, short of its range
const MAX_LABEL_CHARACTERS = 63; // RFC 1035 section 2.3.4
const MAX_NAME_CHARACTERS = 255; // istiod's limit; a name in presentation form has at most 253

export function isLabel(text: string): boolean {
  return text.length <= MAX_LABEL_CHARACTERS && LABEL.test(text);
}

/** A domain name, exact, with at most one trailing dot; its last label is no number. */
export function isDomain(text: string): boolean {
  if (text.length === 0 || text.length > MAX_NAME_CHARACTERS) return false;
  return areLabels(text.split('.'));
}

/** A domain name, or one whose first label is or begins with a star. Istiod looks for a number from the second label on. */
export function isWildcardDomain(text: string): boolean {
  if (text.length === 0 || text.length > MAX_NAME_CHARACTERS) return false;
  const [first = '', ...others] = text.split('.');
  if (first.length > MAX_LABEL_CHARACTERS || !STARRED_LABEL.test(first)) return false;
  return others.length === 0 || areLabels(others);
}

function areLabels(labels: readonly string[]): boolean {
  const last = labels[labels.length - 1] ?? '';
  if (DIGITS.test(last)) return false;
  const named = last === '' ? labels.slice(0, -1) : labels; // `example.com.`
  return named.every(isLabel);
}

const KEY =
  /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\/)?(?:[a-z0-9][a-z0-9_.-]*)?[a-z0-9]$/i;
const LABEL_VALUE = /^(?:(?:[a-z0-9][a-z0-9_.-]*)?[a-z0-9])?$/i;
const MAX_LABEL_KEY_NAME_CHARACTERS = 63;
const MAX_LABEL_KEY_PREFIX_CHARACTERS = 253;

/** Key of a Kubernetes label: an optional DNS prefix with a slash, then a name. */
export function isLabelKey(key: string): boolean {
  const slash = key.indexOf('/');
  if (slash > MAX_LABEL_KEY_PREFIX_CHARACTERS) return false;
  return key.length - slash - 1 <= MAX_LABEL_KEY_NAME_CHARACTERS && KEY.test(key);
}

/** Value of a Kubernetes label; the length is for the API server to limit, istiod does not. */
export function isLabelValue(value: string): boolean {
  return LABEL_VALUE.test(value);
}
