export const WORKLOAD_ERROR_CODES = [
  /** The file cannot be read, or its gzip data is damaged. */
  'WORKLOAD_ERR_OBJECTS_READ',
  /** What should be JSON is not. */
  'WORKLOAD_ERR_OBJECTS_JSON',
  /** A line is JSON, but not `{"t": seconds, "type": "ADDED|MODIFIED|DELETED", "object": {…}}`. */
  'WORKLOAD_ERR_OBJECTS_EVENT',
  /** An object without a kind or a name. */
  'WORKLOAD_ERR_OBJECTS_OBJECT',
  /** A line, or a whole list, over its limit. */
  'WORKLOAD_ERR_OBJECTS_TOO_LONG',
] as const;
export type WorkloadErrorCode = (typeof WORKLOAD_ERROR_CODES)[number];

/** A file of Kubernetes objects cannot be used. The message names the file and, where there is one, the line. */
export class WorkloadError extends Error {
  override readonly name = 'WorkloadError';
  readonly code: WorkloadErrorCode;

  constructor(code: WorkloadErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
