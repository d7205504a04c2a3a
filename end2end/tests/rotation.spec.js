import { ADMIN, expect, rows, serve, signIn, test, until } from "../support/test.js";

serve({ settings: ["--rotate-every", "10s"] });

test("parallel requests of several tabs with a token that is due sign nobody out", async ({ page, context, watch }) => {
  await signIn(page, ADMIN);
  const tabs = [page, await context.newPage(), await context.newPage()];
  for (const tab of tabs) await tab.goto("/account/sessions");
  const token = async () => (await context.cookies()).find(({ name }) => name === "__Host-rollcall").value;
  const seen = [await token()];
  for (let round = 0; round < 2; round += 1) {
    // A token is due ten seconds after its first use, and by time alone.
    await until(Date.now() + 10_500);
    const answers = await Promise.all(
      tabs.map((tab) =>
        tab.evaluate(async () => {
          const statuses = [];
          const ends = performance.now() + 1_000;
          while (performance.now() < ends) {
            const some = Array.from({ length: 12 }, async () => (await fetch("/api/v1/me")).status);
            statuses.push(...(await Promise.all(some)));
          }
          return statuses;
        }),
      ),
    );
    expect(answers.flat().length).toBeGreaterThan(50);
    expect([...new Set(answers.flat())]).toEqual([200]);
    seen.push(await token());
  }
  expect(new Set(seen).size, "each round brought a new token").toBe(3);
  // After `rc_s_`, 16 bytes of the 48 name the lineage: 21 letters, and a third of the next.
  expect(new Set(seen.map((text) => text.slice(0, 26))).size, "of one lineage").toBe(1);
  for (const tab of tabs) {
    await tab.goto("/sessions");
    await expect(tab.getByText("Current session")).toBeVisible();
    await expect(rows(tab)).toHaveCount(1);
  }
  expect(watch.complaints.filter((text) => text.includes("401"))).toEqual([]);
});
