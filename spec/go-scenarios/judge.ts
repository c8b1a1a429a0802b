/**
 * Holds a run of the specs against the rows of Go's own tests: which row is covered by which case, which does not apply, which is open.
 * Pure: tables and a report in, a verdict and its page out. It judges what ran, never what stands in a source file.
 *
 * Invariant: every row has exactly one answer (cases that passed, or a reason), and every tag names a row.
 */

/** One row of rows.tsv: a test of Go's net/http (or one case of it) as a scenario. */
export interface Row {
  readonly test: string;
  readonly file: string;
  readonly area: string;
  readonly scenario: string;
  readonly expected: string;
}

/**
 * One line of answers.tsv: why no case answers the row. `apart` rows do not apply to this client; `open` ones do, and wait.
 * The reason begins with its group, up to the first colon.
 */
export interface Answer {
  readonly test: string;
  readonly kind: "apart" | "open";
  readonly reason: string;
}

/** One case of a run. `title` is its own; `path` those of the groups around it. */
export interface Case {
  readonly file: string;
  readonly path: readonly string[];
  readonly title: string;
  readonly status: string;
  /** It failed because its time was up, which on a busy machine says nothing. */
  readonly timedOut: boolean;
}

export interface Verdict {
  readonly covered: ReadonlyMap<string, readonly Case[]>;
  readonly apart: ReadonlyMap<string, string>;
  readonly open: ReadonlyMap<string, string>;
  /** What is wrong, a line each; empty when every row has its one answer. */
  readonly wrong: readonly string[];
}

/** The share of the rows that apply which may be open. */
const OPEN_MAX = 0.05;

const TAG = /\[(Test[^\]]*)\]$/;

/** The row a title answers: its tag, at its very end; null without one. */
export function tagOf(title: string): string | null {
  return TAG.exec(title)?.[1] ?? null;
}

function lines(tsv: string): string[][] {
  return tsv
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((line) => line.split("\t"));
}

export function parseRows(tsv: string): Row[] {
  return lines(tsv).map(([test = "", file = "", area = "", scenario = "", expected = ""]) => ({
    test,
    file,
    area,
    scenario,
    expected,
  }));
}

/** @throws {Error} a line of another kind, or without a reason */
export function parseAnswers(tsv: string): Answer[] {
  return lines(tsv).map(([test = "", kind, reason = ""]) => {
    if ((kind !== "apart" && kind !== "open") || reason === "") {
      throw new Error(`answers.tsv: ${test}: want apart or open, and a reason`);
    }
    return { test, kind, reason };
  });
}

/** What of vitest's JSON report is read. It tells of a time that was up by an error that it made beforehand, for its stack. */
interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly assertionResults: readonly {
      readonly ancestorTitles: readonly string[];
      readonly title: string;
      readonly status: string;
      readonly failureMessages?: readonly string[];
    }[];
  }[];
}

/**
 * The cases by the names of their files, since the report has these as they came to an end, and the page must be the same
 * each time.
 *
 * @param root what is cut from the front of each file's name
 */
export function parseReport(json: string, root: string): Case[] {
  // The report is vitest's own, written by the run just before; its shape is `Report` by vitest's documentation.
  const report = JSON.parse(json) as Report;
  const files = report.testResults.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return files.flatMap(({ name, assertionResults }) =>
    assertionResults.map(({ ancestorTitles, title, status, failureMessages = [] }) => ({
      file: name.startsWith(root) ? name.slice(root.length) : name,
      path: ancestorTitles,
      title,
      status,
      timedOut: failureMessages.some((message) => /Test timed out|STACK_TRACE_ERROR/.test(message)),
    })),
  );
}

/** Gives each row its answer, and says what is wrong: see the invariant above. */
export function judge(rows: readonly Row[], answers: readonly Answer[], cases: readonly Case[]): Verdict {
  const wrong: string[] = [];
  const known = new Set<string>();
  for (const { test } of rows) {
    if (known.has(test)) wrong.push(`${test}: two rows`);
    known.add(test);
  }

  const covered = new Map<string, Case[]>();
  for (const one of cases) {
    const where = `${one.file}: ${one.title}`;
    const tag = tagOf(one.title);
    if (tag === null) {
      if (one.title.includes("[Test")) wrong.push(`${where}: a tag stands at the end of the title, one to a case`);
    } else if (!known.has(tag)) {
      wrong.push(`${where}: the tag names no row`);
    } else if (TAG.test(one.title.slice(0, -tag.length - 2).trimEnd())) {
      wrong.push(`${where}: two tags; one row to a case`);
    } else if (one.status !== "passed") {
      wrong.push(`${where}: ${one.status}, so it covers nothing`);
    } else {
      covered.set(tag, [...(covered.get(tag) ?? []), one]);
    }
  }

  const apart = new Map<string, string>();
  const open = new Map<string, string>();
  for (const { test, kind, reason } of answers) {
    if (!known.has(test)) wrong.push(`answers.tsv: ${test}: no such row`);
    else if (covered.has(test)) {
      // Who covers an open row does so on purpose; a reason why it cannot apply is one that has been proved wrong.
      if (kind === "apart") wrong.push(`answers.tsv: ${test}: a case covers it now: take the line out`);
    } else if (apart.has(test) || open.has(test)) wrong.push(`answers.tsv: ${test}: two answers`);
    else (kind === "apart" ? apart : open).set(test, reason);
  }
  for (const { test } of rows) {
    if (!covered.has(test) && !apart.has(test) && !open.has(test))
      wrong.push(`${test}: no case ran for it, and no reason`);
  }
  const applies = rows.length - apart.size;
  if (open.size > applies * OPEN_MAX) wrong.push(`${open.size} of ${applies} rows that apply are open: more than 5 %`);
  return { covered, apart, open, wrong };
}

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("<", "&lt;");
const group = (reason: string): string => reason.split(":", 1)[0] ?? reason;

/** How often each group stands among `reasons`, the commonest first. */
function counts(reasons: Iterable<string>): [string, number][] {
  const seen = new Map<string, number>();
  for (const reason of reasons) seen.set(group(reason), (seen.get(group(reason)) ?? 0) + 1);
  return [...seen].sort(([a, m], [b, n]) => n - m || a.localeCompare(b, "en"));
}

function coveredBy(cases: readonly Case[]): string {
  const [first] = cases;
  if (first === undefined) return "";
  const title = first.title.replace(TAG, "").trimEnd();
  const rest = cases.length === 1 ? "" : ` (and ${cases.length - 1} more)`;
  return `${first.file}: ${[...first.path, title].join(" › ")}${rest}`;
}

/** The page: totals first, then a table for each of Go's files. */
export function page(rows: readonly Row[], { covered, apart, open }: Verdict): string {
  const applies = rows.length - apart.size;
  const out = [
    "# Go's own tests, and where each is answered here",
    "",
    "Generated by `make scenarios` from the titles of the cases that passed; do not edit. Each row is a test of Go's `net/http` (or one",
    "case of it) told as a scenario; a case answers it by the row's name in brackets at the end of its title.",
    "",
    "| | rows |",
    "| --- | ---: |",
    `| all | ${rows.length} |`,
    `| that apply | ${applies} |`,
    `| covered | ${covered.size} (${((100 * covered.size) / applies).toFixed(1)} % of those) |`,
    `| open | ${open.size} |`,
    `| that do not apply | ${apart.size} |`,
    ...counts(apart.values()).map(([reason, n]) => `| – ${cell(reason)} | ${n} |`),
  ];
  if (open.size > 0) {
    out.push("", "## Open", "", "| row | scenario | expected | why |", "| --- | --- | --- | --- |");
    for (const { test, scenario, expected } of rows) {
      const why = open.get(test);
      if (why !== undefined) out.push(`| ${[test, scenario, expected, why].map(cell).join(" | ")} |`);
    }
  }
  for (const file of new Set(rows.map((row) => row.file))) {
    out.push("", `## ${file}`, "", "| row | scenario | expected | answered by |", "| --- | --- | --- | --- |");
    for (const { test, scenario, expected } of rows.filter((row) => row.file === file)) {
      const reason = apart.get(test);
      const answer =
        reason !== undefined
          ? `*does not apply:* ${reason}`
          : open.has(test)
            ? "**open**"
            : coveredBy(covered.get(test) ?? []);
      out.push(`| ${[test, scenario, expected, answer].map(cell).join(" | ")} |`);
    }
  }
  return `${out.join("\n")}\n`;
}
