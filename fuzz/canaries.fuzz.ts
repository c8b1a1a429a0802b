/**
 * The canaries are there to be caught, which takes an hour (`make canaries`). Here it is only seen that none has rotted:
 * each applies to the code as it is, and names who must catch it.
 */

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const root = new URL("..", import.meta.url).pathname;
const folder = join(root, "fuzz/canaries");
const patches = readdirSync(folder).filter((file) => file.endsWith(".patch"));

describe("canaries", () => {
  test("are at least thirty", () => {
    expect(patches.length).toBeGreaterThanOrEqual(30);
  });

  test.each(patches)("%s applies, and says who must catch it", (file) => {
    const patch = join(folder, file);
    const args = ["-p1", "--dry-run", "--batch", "--fuzz=2", "-i", patch];
    const { status, stdout, stderr } = spawnSync("patch", args, { cwd: root, encoding: "utf8" });
    expect(
      `${stdout}${stderr}`
        .replace(/^checking file .*$/gm, "")
        .replace(/^Hunk #\d+ succeeded.*$/gm, "")
        .trim(),
    ).toBe("");
    expect(status).toBe(0);
    const [who, ...rest] = /^Caught-by: (.+)$/m.exec(readFileSync(patch, "utf8"))?.[1]?.split(" ") ?? [];
    if (who === "simulator") expect(Number(rest[0])).toBeGreaterThan(0);
    else for (const spec of [who ?? "", ...rest]) expect(existsSync(join(root, spec)), spec).toBe(true);
  });
});
