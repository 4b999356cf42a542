/** Lines with ` `, `-` or `+` in front: those of both texts, of the first one only, of the second one only. */
export function diffLines(from: readonly string[], to: readonly string[]): readonly string[] {
  const common = commonLengths(from, to);
  const lines: string[] = [];
  let [i, j] = [0, 0];
  while (i < from.length || j < to.length) {
    const line = from[i];
    if (line !== undefined && line === to[j]) {
      lines.push(` ${line}`);
      i += 1;
      j += 1;
    } else if (line !== undefined && (j === to.length || common(i + 1, j) >= common(i, j + 1))) {
      lines.push(`-${line}`);
      i += 1;
    } else {
      lines.push(`+${to[j]}`);
      j += 1;
    }
  }
  return lines;
}

/** How many lines the rests of both texts have in common, from a line of the one and a line of the other on. */
function commonLengths(from: readonly string[], to: readonly string[]): (i: number, j: number) => number {
  const width = to.length + 1;
  const lengths = new Uint32Array((from.length + 1) * width);
  const at = (i: number, j: number): number => lengths[i * width + j] ?? 0;
  for (let i = from.length - 1; i >= 0; i -= 1) {
    for (let j = to.length - 1; j >= 0; j -= 1) {
      lengths[i * width + j] = from[i] === to[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  return at;
}

const CONTEXT_LINES = 3;

/** What differs between two texts, with some lines around it, as `diff -u` prints it; empty for equal ones. */
export function unifiedDiff(name: string, from: string, to: string): string {
  const printed: string[] = [];
  let [fromLine, toLine] = [1, 1];
  for (const { lines, isShown } of runsOf(diffLines(linesOf(from), linesOf(to)))) {
    const [fromCount, toCount] = [countWithout(lines, '+'), countWithout(lines, '-')];
    if (isShown) printed.push(`@@ -${fromLine},${fromCount} +${toLine},${toCount} @@`, ...lines);
    fromLine += fromCount;
    toLine += toCount;
  }
  return printed.length === 0 ? '' : `--- ${name}\n+++ ${name}\n${printed.join('\n')}\n`;
}

interface Run {
  readonly lines: string[];
  /** Whether something in it, or near it, differs. */
  readonly isShown: boolean;
}

function runsOf(lines: readonly string[]): readonly Run[] {
  const runs: Run[] = [];
  for (const [at, line] of lines.entries()) {
    const around = lines.slice(Math.max(0, at - CONTEXT_LINES), at + CONTEXT_LINES + 1);
    const isShown = around.some((each) => !each.startsWith(' '));
    const last = runs.at(-1);
    if (last?.isShown === isShown) last.lines.push(line);
    else runs.push({ lines: [line], isShown });
  }
  return runs;
}

function countWithout(lines: readonly string[], sign: string): number {
  return lines.filter((line) => !line.startsWith(sign)).length;
}

function linesOf(text: string): readonly string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}
