/** Codes of {@link IstioError}. */
export const ISTIO_ERROR_CODES = [
  'ISTIO_ERR_NAMESPACE',
  'ISTIO_ERR_OWNER',
  'ISTIO_ERR_EXPORT_TO',
  'ISTIO_ERR_HOST',
  'ISTIO_ERR_ADDRESSES',
  'ISTIO_ERR_PORTS',
  'ISTIO_ERR_RESERVED_PORT',
] as const;
export type IstioErrorCode = (typeof ISTIO_ERROR_CODES)[number];

/** A ServiceEntry that was asked for must not exist. */
export class IstioError extends Error {
  override readonly name = 'IstioError';
  readonly code: IstioErrorCode;

  constructor(code: IstioErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
