/** Lays rows out in columns, two blanks apart, the header first. No row wraps. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = tableWidths(header, rows);
  return [header, ...rows].map((row) => tableLine(widths, row)).join('');
}

/** Characters of each column. */
export function tableWidths(header: readonly string[], rows: readonly (readonly string[])[]): readonly number[] {
  const widths = header.map(({ length }) => length);
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  }
  return widths;
}

/** One line of a table. */
export function tableLine(widths: readonly number[], cells: readonly string[]): string {
  const line = cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ');
  return `${line.trimEnd()}\n`;
}
