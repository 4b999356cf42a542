/** Codes of {@link KubernetesError}. */
export const KUBERNETES_ERROR_CODES = [
  'KUBERNETES_ERR_CONFIG',
  'KUBERNETES_ERR_ABORTED',
  'KUBERNETES_ERR_UNREACHABLE',
  'KUBERNETES_ERR_TIMEOUT',
  'KUBERNETES_ERR_NOT_READ',
  'KUBERNETES_ERR_PROTOCOL',
  'KUBERNETES_ERR_TOO_LARGE',
  'KUBERNETES_ERR_UNAUTHORIZED',
  'KUBERNETES_ERR_FORBIDDEN',
  'KUBERNETES_ERR_NOT_FOUND',
  'KUBERNETES_ERR_RESOURCE_ABSENT',
  'KUBERNETES_ERR_ALREADY_EXISTS',
  'KUBERNETES_ERR_CONFLICT',
  'KUBERNETES_ERR_GONE',
  'KUBERNETES_ERR_INVALID',
  'KUBERNETES_ERR_TOO_MANY_REQUESTS',
  'KUBERNETES_ERR_SERVER',
] as const;
export type KubernetesErrorCode = (typeof KUBERNETES_ERROR_CODES)[number];

export interface KubernetesErrorDetails {
  /** HTTP status, where there was an answer. */
  readonly status?: number;
  /** How long the server asks to be left alone. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** A call of the API server failed. */
export class KubernetesError extends Error {
  override readonly name = 'KubernetesError';
  readonly code: KubernetesErrorCode;
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: KubernetesErrorCode, message: string, details: KubernetesErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.code = code;
    this.status = details.status;
    this.retryAfterMs = details.retryAfterMs;
  }
}

const CODES_BY_STATUS: Readonly<Record<number, KubernetesErrorCode>> = {
  401: 'KUBERNETES_ERR_UNAUTHORIZED',
  403: 'KUBERNETES_ERR_FORBIDDEN',
  404: 'KUBERNETES_ERR_NOT_FOUND',
  409: 'KUBERNETES_ERR_CONFLICT',
  410: 'KUBERNETES_ERR_GONE',
  429: 'KUBERNETES_ERR_TOO_MANY_REQUESTS',
};

/** What the server answered instead of what was asked for; the answer is usually a `Status` object. */
export interface FailedAnswer {
  /** What was asked, for people: method and path. */
  readonly what: string;
  readonly status: number;
  readonly body: unknown;
  readonly retryAfterMs?: number;
}

/** Makes the error of an answer. */
export function errorOfAnswer({ what, status, body, retryAfterMs }: FailedAnswer): KubernetesError {
  const { reason, message } = statusFields(body);
  const byStatus = CODES_BY_STATUS[status] ?? (status >= 500 ? 'KUBERNETES_ERR_SERVER' : 'KUBERNETES_ERR_INVALID');
  const code = reason === 'AlreadyExists' ? 'KUBERNETES_ERR_ALREADY_EXISTS' : byStatus;
  const details = retryAfterMs === undefined ? { status } : { status, retryAfterMs };
  return new KubernetesError(code, `${what}: ${status} ${typeof message === 'string' ? message : ''}`, details);
}

function statusFields(body: unknown): { readonly reason?: unknown; readonly message?: unknown } {
  return typeof body === 'object' && body !== null ? body : {};
}
