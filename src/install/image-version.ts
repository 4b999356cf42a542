/** `v1.11.3` of `registry.example.com/coredns:v1.11.3@sha256:…`; undefined without a tag that starts with a version. */
export function versionOfImage(image: string): string | undefined {
  return /:(v?\d+\.\d+[^:/@]*)(?:@|$)/.exec(image)?.[1];
}
