/** Where a command reads, and where it prints: its result, and what it says meanwhile. */
export interface Terminal {
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: NodeJS.WritableStream & { readonly columns?: number };
  readonly stderr: NodeJS.WriteStream;
}
