/** Tables for Markdown, and putting them where a file has a place for them. Pure. */

/** @param lines the first is the header; the first column stands to the left, the others to the right */
export function markdown(lines: readonly (readonly string[])[]): string {
  const [header = [], ...rows] = lines;
  const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [row(header), row(header.map((_, i) => (i === 0 ? "---" : "---:"))), ...rows.map(row)].join("\n");
}

/**
 * Puts each text between its marks: `<!-- NAME -->` and `<!-- end NAME -->`.
 *
 * @throws {Error} a text has no place in the file: what was measured would be lost
 */
export function replaceTables(file: string, texts: Readonly<Record<string, string>>): string {
  let result = file;
  for (const [name, text] of Object.entries(texts)) {
    const [start, end] = [`<!-- ${name} -->`, `<!-- end ${name} -->`];
    const from = result.indexOf(start);
    const to = result.indexOf(end);
    if (from < 0 || to < from) throw new Error(`Cannot write ${name}: the file has no place for it`);
    result = `${result.slice(0, from + start.length)}\n\n${text}\n\n${result.slice(to)}`;
  }
  return result;
}
