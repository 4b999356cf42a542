import { lexCorefile, type CorefileComment, type CorefileToken } from './lexer.js';

/** Why a Corefile cannot be read; CoreDNS does not start with it either, or not with every version. */
export type CorefileFault = 'brace' | 'comma' | 'end-of-file' | 'import' | 'import-loop' | 'snippet-twice';

/** @see parseCorefile */
export interface CorefileProblem {
  readonly fault: CorefileFault;
  /** Line in the Corefile or in the imported file, from 1. */
  readonly line: number;
}

/** A directive of a server block with everything that CoreDNS hands to its plugin. */
export interface CorefileDirective {
  readonly name: CorefileToken;
  /** The name, the arguments and the block, braces included. */
  readonly tokens: readonly CorefileToken[];
}

/** A key of a server block, such as `.:53`, with what environment variables it names put in where they are known. */
export interface CorefileKey {
  readonly text: string;
  readonly token: CorefileToken;
}

export interface ServerBlock {
  readonly keys: readonly CorefileKey[];
  /** Whether the last key stands in a snippet that is imported where keys are expected. */
  readonly hasImportedKey?: true;
  /** Absent in a Corefile of a single block without braces. */
  readonly open?: CorefileToken;
  /** Absent also where CoreDNS takes the brace of the last directive for it. */
  readonly close?: CorefileToken;
  /** With those that imports bring in. */
  readonly directives: readonly CorefileDirective[];
  /** Imports in it of files that were not given, as they are written. */
  readonly unknownImports: readonly string[];
}

export interface Corefile {
  readonly blocks: readonly ServerBlock[];
  readonly tokens: readonly CorefileToken[];
  readonly comments: readonly CorefileComment[];
  /** Imports of files that were not given, as they are written, anywhere in it. */
  readonly unknownImports: readonly string[];
}

export interface ParseCorefileOptions {
  /** Files that it may import, by their path as the import names it, a `*` matching within one part of the path. */
  readonly files?: ReadonlyMap<string, Uint8Array>;
  /** Directories of which all files are given, as an import names them: an import from them that finds nothing is empty. */
  readonly directories?: readonly string[];
  /** What is known of CoreDNS's environment. */
  readonly environment?: ReadonlyMap<string, string>;
}

/** CoreDNS stops at 10,000 or, before 1.14, never; nobody needs a hundredth of it. */
const MAX_IMPORTS = 1000;
const MAX_TOKENS = 200_000;

/**
 * Groups the words of a Corefile by server block as CoreDNS does: imports are put in place of the line that names them.
 *
 * @see coredns/caddy caddyfile/parse.go
 */
export function parseCorefile(
  bytes: Uint8Array,
  options: ParseCorefileOptions = {},
): Corefile | { readonly problem: CorefileProblem } {
  const { tokens, comments } = lexCorefile(bytes);
  const parser = new Parser(tokens, options);
  try {
    return { blocks: parser.blocks(), tokens, comments, unknownImports: parser.unknownImports };
  } catch (err) {
    if (err instanceof ParseFault) return { problem: { fault: err.fault, line: err.line } };
    throw err;
  }
}

/** `{$NAME}` and `{%NAME%}` with what is known of the environment put in. */
export function expandEnvironment(text: string, environment: ReadonlyMap<string, string> | undefined): string {
  return text.replaceAll(/\{\$([^}]+)\}|\{%(.+?)%\}/g, (whole, unix?: string, windows?: string) => {
    return environment?.get(unix ?? windows ?? '') ?? whole;
  });
}

class ParseFault extends Error {
  readonly fault: CorefileFault;
  readonly line: number;

  constructor(fault: CorefileFault, line: number) {
    super(fault);
    this.fault = fault;
    this.line = line;
  }
}

/** Reads words from a list into which imports are spliced. `#at` is the word that was read last, -1 before the first. */
class Parser {
  readonly unknownImports: string[] = [];
  readonly #options: ParseCorefileOptions;
  readonly #snippets = new Map<string, readonly CorefileToken[]>();
  readonly #tokens: CorefileToken[];
  #at = -1;
  #imports = 0;

  constructor(tokens: readonly CorefileToken[], options: ParseCorefileOptions) {
    this.#tokens = [...tokens];
    this.#options = options;
  }

  blocks(): readonly ServerBlock[] {
    const blocks: ServerBlock[] = [];
    while (this.#next()) {
      const block = this.#block();
      if (block !== undefined && block.keys.length > 0) blocks.push(block);
    }
    return blocks;
  }

  #block(): ServerBlock | undefined {
    const { keys, isLast } = this.#keys();
    if (isLast) return { keys, directives: [], unknownImports: [] };
    const snippet = snippetName(keys);
    if (snippet !== undefined) {
      this.#defineSnippet(snippet);
      return undefined;
    }
    return this.#body(keys);
  }

  #body(keys: readonly CorefileKey[]): ServerBlock {
    const open = this.#text() === '{' ? this.#token() : undefined;
    if (open === undefined) this.#at -= 1; // a single block needs no braces
    const importsBefore = this.unknownImports.length;
    const { directives, close } = this.#directives();
    const unknownImports = this.unknownImports.slice(importsBefore);
    // Where the last brace is missing, that of the last directive is taken for it.
    if (open !== undefined && this.#text() !== '}') throw this.#fault('end-of-file');
    const lastKey = keys.at(-1)?.token;
    const hasImportedKey = [...this.#snippets.values()].some((body) => body.some((token) => token === lastKey));
    return {
      keys,
      directives,
      unknownImports,
      ...(hasImportedKey && { hasImportedKey }),
      ...(open && { open }),
      ...(close && { close }),
    };
  }

  /** Keys go up to `{` or the end of the line, after a comma over several lines. */
  #keys(): { readonly keys: readonly CorefileKey[]; readonly isLast: boolean } {
    const keys: CorefileKey[] = [];
    let wantsMore = false;
    for (;;) {
      if (this.#expanded() === 'import' && this.#startsLine()) {
        this.#import();
        continue;
      }
      const text = this.#expanded();
      if (text === '{') {
        if (wantsMore) throw this.#fault('comma');
        return { keys, isLast: false };
      }
      if (text !== '') {
        wantsMore = text.endsWith(',');
        keys.push({ text: wantsMore ? text.slice(0, -1) : text, token: this.#token() });
      }
      if (!this.#next()) {
        if (wantsMore) throw this.#fault('end-of-file');
        return { keys, isLast: true };
      }
      if (!wantsMore && this.#startsLine()) return { keys, isLast: false };
    }
  }

  #defineSnippet(name: string): void {
    if (this.#snippets.has(name)) throw this.#fault('snippet-twice');
    if (this.#text() !== '{') throw this.#fault('brace');
    const body: CorefileToken[] = [];
    let depth = 1;
    while (depth > 0) {
      if (!this.#next()) throw this.#fault('end-of-file');
      if (this.#text() === '{') depth += 1;
      if (this.#text() === '}') depth -= 1;
      if (depth > 0) body.push(this.#token());
    }
    // Newer versions refuse it even where nothing imports the snippet.
    const isInItself = body.some((token, index) => {
      const startsLine = index === 0 || body[index - 1]?.line !== token.line;
      const imported = expandEnvironment(body[index + 1]?.text ?? '', this.#options.environment);
      return token.text === 'import' && startsLine && imported === name;
    });
    if (isInItself) throw this.#fault('import-loop');
    this.#snippets.set(name, body);
  }

  #directives(): { readonly directives: readonly CorefileDirective[]; readonly close?: CorefileToken } {
    const directives: CorefileDirective[] = [];
    while (this.#next()) {
      if (this.#text() === '}') return { directives, close: this.#token() };
      if (this.#text() === 'import') {
        this.#import();
        this.#at -= 1;
      } else {
        directives.push(this.#directive());
      }
    }
    return { directives };
  }

  #directive(): CorefileDirective {
    const name = this.#token();
    if (name.text === '{') throw this.#fault('brace');
    const tokens = [name];
    let depth = 0;
    while (this.#next()) {
      const text = this.#text();
      if (text === '{') depth += 1;
      else if (depth === 0 && this.#startsLine()) {
        this.#at -= 1;
        break;
      } else if (text === '}') {
        if (depth === 0) throw this.#fault('brace');
        depth -= 1;
      } else if (text === 'import' && this.#startsLine()) {
        this.#import();
        this.#at -= 1;
        continue;
      }
      tokens.push(this.#token());
    }
    if (depth > 0) throw this.#fault('end-of-file');
    return { name, tokens };
  }

  /** Puts what is imported in place of the two words of the import; the first of it is then the word read last. */
  #import(): void {
    const at = this.#at;
    const name = this.#tokens[at + 1];
    if (name === undefined || !this.#isSameLine(at)) throw this.#fault('import');
    if (this.#isSameLine(at + 1)) throw this.#fault('import'); // a second argument
    this.#imports += 1;
    const imported = this.#imported(expandEnvironment(name.text, this.#options.environment));
    if (this.#imports > MAX_IMPORTS || this.#tokens.length + imported.length > MAX_TOKENS) {
      throw this.#fault('import-loop');
    }
    this.#tokens.splice(at, 2, ...imported);
  }

  #imported(name: string): readonly CorefileToken[] {
    const snippet = this.#snippets.get(name);
    if (snippet !== undefined) return snippet;
    const isWanted = pathMatcher(name);
    const files = [...(this.#options.files ?? [])].filter(([path]) => isWanted(path));
    const isKnown = this.#options.directories?.includes(name.replace(/\/[^/]*$/, '')) === true;
    if (files.length === 0 && !isKnown) this.unknownImports.push(name);
    return files.sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([path, bytes]) => lexCorefile(bytes, path).tokens);
  }

  #next(): boolean {
    if (this.#at >= this.#tokens.length - 1) return false;
    this.#at += 1;
    return true;
  }

  #token(): CorefileToken {
    const token = this.#tokens[this.#at];
    if (token === undefined) throw this.#fault('end-of-file');
    return token;
  }

  #text(): string {
    return this.#tokens[this.#at]?.text ?? '';
  }

  #expanded(): string {
    return expandEnvironment(this.#text(), this.#options.environment);
  }

  #startsLine(): boolean {
    return this.#at < 1 || !this.#isSameLine(this.#at - 1);
  }

  /** Whether the word after the one at an index is on the same line of the same file. */
  #isSameLine(index: number): boolean {
    const [token, following] = [this.#tokens[index], this.#tokens[index + 1]];
    if (token === undefined || following === undefined) return false;
    return token.file === following.file && token.lastLine >= following.line;
  }

  #fault(fault: CorefileFault): ParseFault {
    return new ParseFault(fault, (this.#tokens[this.#at] ?? this.#tokens.at(-1))?.line ?? 1);
  }
}

function snippetName(keys: readonly CorefileKey[]): string | undefined {
  const [key] = keys;
  return key !== undefined && keys.length === 1 ? /^\((.*)\)$/s.exec(key.text)?.[1] : undefined;
}

/** One `*` within the last part of a path; a relative path is looked for beside the Corefile, whatever directory that is. */
function pathMatcher(pattern: string): (path: string) => boolean {
  const [before = '', after] = pattern.split('*');
  if (after === undefined) return (path) => path === pattern;
  return (path) => {
    const middle = path.slice(before.length, path.length - after.length);
    return path.startsWith(before) && path.endsWith(after) && !middle.includes('/');
  };
}
