import { readFile } from "node:fs/promises";
import { ADMIN, FIREFOX_ON_LINUX, PASSWORD, alive, expect, open, serve, signIn, test } from "../support/test.js";

const BO = { email: "bo@rollcall.example", name: "Bo Member", password: PASSWORD };

serve({ users: [BO] });

const trail = (page) => page.getByRole("region", { name: "Audit trail" });
const events = (page) => trail(page).getByRole("listitem");
const filter = (page) => page.getByRole("search", { name: "Filter events" });

// Somebody whose session the administrator ends, for a reason.
async function end(page, another, reason) {
  const other = await another({ userAgent: FIREFOX_ON_LINUX });
  await signIn(other, BO);
  await page.goto("/sessions?q=bo@rollcall");
  await page.getByRole("link", { name: "End Firefox on Linux of Bo Member" }).first().click();
  const dialog = page.getByRole("dialog");
  const field = (await dialog.count()) ? dialog : page.getByRole("main");
  await field.getByLabel("Reason").fill(reason);
  await field.getByRole("button", { name: "End session" }).click();
  await expect(page.getByText("ended by an administrator").first()).toBeVisible();
}

test("the trail tells in words who did what, with details and links on demand", async ({ page, another }) => {
  await signIn(page, ADMIN);
  await alive(page);
  await end(page, another, "left it in the library");
  await page.getByRole("link", { name: "Audit" }).click();
  await expect(page).toHaveURL("/audit");
  await expect(page.getByRole("link", { name: "Audit", exact: true })).toHaveAttribute("aria-current", "page");
  const event = events(page).first();
  await expect(event).toContainText("Administrator ended a session of Bo Member: left it in the library");
  await expect(event.getByText("Request", { exact: true })).toBeHidden();
  await event.getByText("Administrator ended a session of").click();
  await expect(event.getByText("Request", { exact: true })).toBeVisible();
  await expect(event).toContainText(`Bo Member (${BO.email})`);
  await expect(event).toContainText("session.ended");
  await event.getByRole("link", { name: "Events of this session" }).click();
  await expect(page).toHaveURL(/\/audit\?session=/);
  await expect(events(page).filter({ hasText: "Bo Member began a session" })).toHaveCount(1);
  await expect(filter(page).getByRole("textbox", { name: "Session" })).not.toHaveValue("");
  // What was open belonged to another list.
  await expect(page.getByText("Request", { exact: true }).filter({ visible: true })).toHaveCount(0);
  await events(page).first().getByText("ended a session of").click();
  await events(page).first().getByRole("link", { name: "Session", exact: true }).click();
  await expect(page.getByRole("heading", { name: /Bo Member: Firefox on Linux/ })).toBeVisible();
});

for (const javaScriptEnabled of [true, false]) {
  test.describe(javaScriptEnabled ? "with scripts" : "without scripts", () => {
    test.use({ javaScriptEnabled });
    test.beforeEach(({ watch }) => watch.allow(/preloaded using link preload but not used/));

    test("filters by person, action, outcome, address and time stay in the address", async ({ page, another }) => {
      await signIn(page, ADMIN);
      await end(page, another, "by filter");
      await page.getByRole("link", { name: "Audit" }).click();
      await filter(page).getByLabel("Done to").fill("BO@rollcall.example");
      await filter(page).getByLabel("Action").selectOption("session ended");
      await filter(page).getByLabel("Outcome").selectOption("success");
      await filter(page).getByLabel("IP address").fill("127.0.0.0/8");
      await filter(page).getByLabel("From").fill("2020-01-01T00:00");
      await filter(page).getByRole("button", { name: "Apply" }).click();
      await expect(page).toHaveURL(
        /\/audit\?target=bo%40rollcall.example&action=session.ended&outcome=success&ip=127.0.0.0%2F8&from=20(19|20)-\d\d-\d\dT/,
      );
      const count = await events(page).count();
      expect(count).toBeGreaterThan(0);
      await expect(events(page).filter({ hasText: /Bo Member/ })).toHaveCount(count);
      await expect(filter(page).getByLabel("From")).toHaveValue(/^2020-01-01T00:00/);
      await page.reload();
      await expect(events(page)).toHaveCount(count);
      await filter(page).getByLabel("Until").fill("2020-01-02T00:00");
      await filter(page).getByRole("button", { name: "Apply" }).click();
      await expect(trail(page).getByRole("heading", { name: "No event matches" })).toBeVisible();
      await filter(page).getByRole("link", { name: "Clear" }).click();
      await expect(page).toHaveURL("/audit");
      await expect(filter(page).getByLabel("Done to")).toHaveValue("");
      await expect(events(page)).not.toHaveCount(0);
      await filter(page).getByLabel("IP address").fill("somewhere");
      await filter(page).getByRole("button", { name: "Apply" }).click();
      await expect(trail(page).getByRole("alert")).toHaveText("IP address cannot be read.");
      await expect(events(page)).toHaveCount(0);
      await expect(filter(page).getByLabel("IP address")).toHaveValue("somewhere");
    });

    test("what is shown is taken away as a file", async ({ page }) => {
      await signIn(page, ADMIN);
      await page.goto("/audit?action=sign_in&page=1&page_size=20");
      const download = page.waitForEvent("download");
      await page.getByRole("link", { name: "Export as CSV" }).click();
      const file = await download;
      expect(file.suggestedFilename()).toMatch(/^rollcall-audit-\d{4}-\d\d-\d\d-\d{6}Z\.csv$/);
      const text = await readFile(await file.path(), "utf8");
      const lines = text.trimEnd().split("\r\n");
      expect(lines[0]).toMatch(/^sequence,at,event,/);
      expect(lines.length).toBeGreaterThan(1);
      for (const line of lines.slice(1)) expect(line).toContain(",sign_in,");
      await page.goto(`/sessions?q=${ADMIN.email}&sort=-name`);
      const sessions = page.waitForEvent("download");
      await page.getByRole("link", { name: "Export as NDJSON" }).click();
      const rows = (await readFile(await (await sessions).path(), "utf8")).trimEnd().split("\n").map(JSON.parse);
      expect(rows.length).toBeGreaterThan(0);
      for (const row of rows) expect(row.user.email).toBe(ADMIN.email);
    });
  });
}

test("pages of events follow each other", async ({ page }) => {
  for (let round = 0; round < 4; round += 1) await signIn(page, ADMIN);
  await open(page, "/audit");
  await expect(events(page)).toHaveCount(10);
  const first = await events(page).first().innerText();
  await page.getByRole("link", { name: "Next page" }).click();
  await expect(page).toHaveURL("/audit?page=2");
  await expect(page.getByRole("link", { name: "Page 2", exact: true })).toHaveAttribute("aria-current", "page");
  await expect(events(page).first()).not.toHaveText(first);
  await page.getByLabel("Rows per page").selectOption("20");
  await page.getByRole("button", { name: "Show" }).click();
  await expect(page).toHaveURL("/audit?page_size=20");
  await expect(events(page).nth(10)).toBeVisible();
});

test("by keyboard alone an event is opened and closed", async ({ page }) => {
  await signIn(page, ADMIN);
  await open(page, "/audit?action=user.created");
  const event = events(page).first();
  await event.locator("summary").focus();
  await page.keyboard.press("Enter");
  await expect(event.getByText("Number", { exact: true })).toBeVisible();
  await page.keyboard.press("Tab");
  await expect(event.getByRole("link").first()).toBeFocused();
  await event.locator("summary").focus();
  await page.keyboard.press("Space");
  await expect(event.getByText("Number", { exact: true })).toBeHidden();
});

test("the trail is not open to a member", async ({ page, watch }) => {
  await signIn(page, BO);
  await expect(page.getByRole("link", { name: "My sessions" })).toBeVisible();
  await expect(page.getByRole("link", { name: "Audit" })).toHaveCount(0);
  watch.allow(/status of 403/);
  const answer = await page.goto("/audit");
  expect(answer.status()).toBe(403);
  await expect(page.getByRole("heading", { name: "This is not open to you" })).toBeVisible();
});
