/**
 * What mutants came to: the figures of an area, and the survivors with what was judged of each. Pure: text and records
 * in, text out.
 *
 * A survivor is known by what it changes, never by its line, so that a judgement holds when code moves: by file, kind of
 * mutation, the source line it begins on, what stood there and what replaced it. Where several are alike in all of this,
 * the judgement says how many it is of; one more is a new one.
 */

/** What is needed of a mutant; Stryker's own record fits. */
export interface Mutant {
  readonly fileName: string;
  readonly mutatorName: string;
  readonly replacement?: string | undefined;
  readonly location: { readonly start: Position; readonly end: Position };
  readonly status?: string | undefined;
  readonly statusReason?: string | undefined;
}

/** Both from 1, as in Stryker's results. */
interface Position {
  readonly line: number;
  readonly column: number;
}

export interface Figures {
  mutants: number;
  killed: number;
  timedOut: number;
  survived: number;
  noCoverage: number;
  /** Those that a comment takes out, and static ones, were they left out. */
  ignored: number;
  /** Those that broke the run itself: no verdict on the specs. */
  errors: number;
}

export interface Survivor {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly covered: boolean;
  readonly key: string;
}

export interface Judgement {
  readonly key: string;
  readonly count: number;
  readonly why: string;
}

const SHOWN_MAX = 120;

export function figuresOf(mutants: readonly Mutant[]): Figures {
  const of = (status: string): number => mutants.filter((mutant) => mutant.status === status).length;
  return {
    mutants: mutants.length,
    killed: of("Killed"),
    timedOut: of("Timeout"),
    survived: of("Survived"),
    noCoverage: of("NoCoverage"),
    ignored: of("Ignored"),
    errors: of("RuntimeError") + of("CompileError"),
  };
}

/** Percentage of the mutants with a verdict that were noticed; one that no spec meets counts as not noticed. */
export function scoreOf({ killed, timedOut, survived, noCoverage }: Figures): number {
  const noticed = killed + timedOut;
  const all = noticed + survived + noCoverage;
  return all === 0 ? 100 : (100 * noticed) / all;
}

export function tableOf(areas: ReadonlyMap<string, Figures>): string {
  const total: Figures = figuresOf([]);
  for (const figures of areas.values()) {
    for (const key of Object.keys(total) as (keyof Figures)[]) total[key] += figures[key];
  }
  const row = (name: string, f: Figures): string => {
    const cells = [f.mutants, f.killed, f.timedOut, f.survived, f.noCoverage, f.ignored, f.errors];
    return `| ${name} | ${cells.join(" | ")} | ${scoreOf(f).toFixed(2)} % |`;
  };
  return [
    "| area | mutants | killed | timed out | survived | no coverage | ignored | errors | score |",
    "| --- | --: | --: | --: | --: | --: | --: | --: | --: |",
    ...[...areas].map(([name, figures]) => row(name, figures)),
    row("**all**", total),
  ].join("\n");
}

/** @param sourceOf the text of a file that a mutant names */
export function survivorsOf(mutants: readonly Mutant[], sourceOf: (file: string) => string): Survivor[] {
  return mutants
    .filter(({ status }) => status === "Survived" || status === "NoCoverage")
    .map((mutant) => {
      const { fileName: file, location, mutatorName, replacement, status } = mutant;
      const lines = sourceOf(file).split("\n");
      const { start, end } = location;
      const cut = lines.slice(start.line - 1, end.line);
      const last = cut.length - 1;
      cut[last] = cut[last]?.slice(0, end.column - 1) ?? "";
      cut[0] = cut[0]?.slice(start.column - 1) ?? "";
      const parts = [file, mutatorName, lines[start.line - 1] ?? "", cut.join("\n"), replacement ?? ""];
      return { file, line: start.line, covered: status === "Survived", key: parts.map(shown).join("\t") };
    })
    .sort((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1));
}

/** One line, and not a long one. */
function shown(text: string): string {
  const flat = text.replace(/\s+/g, " ").trim();
  return flat.length <= SHOWN_MAX ? flat : `${flat.slice(0, SHOWN_MAX)}…`;
}

/** Lines of a file of judgements: the five parts of the key, how many, why; with tabs between them. */
export function parseJudgements(text: string): Judgement[] {
  return text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const parts = line.split("\t");
      if (parts.length !== 7) throw new Error(`Cannot read judgement: seven parts are wanted: ${line}`);
      return { key: parts.slice(0, 5).join("\t"), count: Number(parts[5]), why: parts[6] ?? "" };
    });
}

/** Survivors with their judgements, and the judgements of those that are none any more. */
export function judge(
  survivors: readonly Survivor[],
  judgements: readonly Judgement[],
): { judged: [Survivor, string | null][]; stale: Judgement[] } {
  const left = new Map(judgements.map((judgement) => [judgement.key, { ...judgement }]));
  const judged = survivors.map((survivor): [Survivor, string | null] => {
    const known = left.get(survivor.key);
    if (known === undefined || known.count === 0) return [survivor, null];
    known.count--;
    return [survivor, known.why];
  });
  return { judged, stale: [...left.values()].filter(({ count }) => count > 0) };
}

/** The page of all survivors. */
export function pageOf(table: string, when: string, judged: readonly (readonly [Survivor, string | null])[]): string {
  const files = new Map<string, string[]>();
  for (const [{ file, line, key, covered }, why] of judged) {
    const rows = files.get(file) ?? [];
    files.set(file, rows);
    const [, mutator, , original = "", replacement = ""] = key.split("\t");
    const change = `${code(original)} → ${code(replacement)}`;
    rows.push(
      `| ${line} | ${mutator} | ${change} | ${covered ? "" : "no spec meets it: "}${why ?? "**not judged**"} |`,
    );
  }
  const sections = [...files].map(
    ([file, rows]) =>
      `## ${file}\n\n| line | mutation | change | judgement |\n| --: | --- | --- | --- |\n${rows.join("\n")}\n`,
  );
  return [
    "# Mutants that survive",
    "",
    "Written by `make mutation`; the judgements come from `judgements.tsv`. Lines are those of the run.",
    "",
    when,
    "",
    table,
    "",
    ...sections,
  ].join("\n");
}

function code(text: string): string {
  if (text === "") return "nothing";
  const fence = text.includes("`") ? "``" : "`";
  return `${fence}${text.replaceAll("|", "\\|")}${fence}`;
}
