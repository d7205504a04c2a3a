import { ADMIN, alive, expect, open, rows, serve, signIn, tabTo, test } from "../support/test.js";

serve({ settings: ["--demo", "300"] });

const boxes = (page) => rows(page).getByRole("checkbox");
const search = (page) => page.getByRole("searchbox");

test.beforeEach(async ({ page }) => {
  await signIn(page, ADMIN);
});

test("ticked sessions end after a confirmation with their number, and no others", async ({ page }) => {
  await open(page, "/sessions?state=active&q=alderfinch&page_size=20");
  await boxes(page).nth(0).check();
  await expect(page.getByRole("status").filter({ hasText: "1 selected" })).toBeVisible();
  await boxes(page).nth(1).check();
  await expect(page.getByRole("status").filter({ hasText: "2 selected" })).toBeVisible();
  await page.getByRole("button", { name: "End selected…" }).click();
  await expect(page).toHaveURL(/\/sessions\/ending\//);
  await expect(page.getByRole("heading", { name: "End 2 sessions?" })).toBeVisible();
  await page.getByLabel("Reason").fill("lost laptops");
  await page.getByRole("button", { name: "End 2 sessions" }).click();
  await expect(page.getByRole("heading", { name: "Ended 2 sessions" })).toBeVisible();
  await expect(page.getByText("Reason: lost laptops")).toBeVisible();
  // A page that is loaded anew tells the same, and ends nothing more.
  await page.reload();
  await expect(page.getByRole("heading", { name: "Ended 2 sessions" })).toBeVisible();
  await page.getByRole("link", { name: "Back to all sessions" }).click();
  await expect(rows(page)).toHaveCount(10);
});

test("a page is ticked at once, but for the session in use and what has ended", async ({ page }) => {
  await open(page, "/sessions?page_size=20");
  const mine = rows(page).filter({ hasText: "Current session" });
  await expect(mine.getByRole("checkbox")).toHaveCount(0);
  await expect(rows(page).filter({ hasText: "Ended" }).getByRole("checkbox")).toHaveCount(0);
  const all = page.getByRole("checkbox", { name: "Select all on this page" });
  await all.check();
  const count = await boxes(page).count();
  expect(count).toBeGreaterThan(5);
  await expect(page.getByText(`${count} selected`)).toBeVisible();
  await all.uncheck();
  await expect(page.getByText("Tick sessions to end several at once")).toBeVisible();
});

test("everything that matches ends, and whoever signs in after the preview stays", async ({ page }) => {
  await open(page, "/sessions?q=bluewater");
  const matching = /End all ([\d,]+) that match…/;
  await page.getByRole("button", { name: matching }).click();
  const heading = page.getByRole("heading", { name: /^End \d+ sessions\?$/ });
  await expect(heading).toBeVisible();
  const count = /\d+/.exec(await heading.textContent())[0];
  await expect(page.getByText("who signs in from now on is not among them")).toBeVisible();
  await page.getByRole("button", { name: `End ${count} sessions` }).click();
  await expect(page.getByRole("heading", { name: `Ended ${count} sessions` })).toBeVisible();
  await open(page, "/sessions?q=bluewater&state=active");
  await expect(page.getByRole("heading", { name: "No session matches" })).toBeVisible();
});

test("without a filter there is no button for everything, and a preview can be left", async ({ page }) => {
  await open(page, "/sessions?state=active");
  await expect(page.getByRole("button", { name: /that match/ })).toHaveCount(0);
  await search(page).fill("a");
  await expect(page).toHaveURL(/q=a/);
  await page.getByRole("button", { name: /that match/ }).click();
  await page.getByRole("link", { name: "Cancel" }).click();
  await expect(page).toHaveURL("/sessions");
});

test("nothing ticked is said in words", async ({ page }) => {
  await open(page, "/sessions");
  await page.getByRole("button", { name: "End selected…" }).click();
  await expect(page.getByRole("alert")).toContainText("No session is ticked.");
});

test("the keyboard alone ticks and ends", async ({ page }) => {
  await open(page, "/sessions?state=active&q=alderfinch");
  const box = boxes(page).first();
  await tabTo(page, box);
  await page.keyboard.press("Space");
  await expect(box).toBeChecked();
  await tabTo(page, page.getByRole("button", { name: "End selected…" }));
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "End 1 session?" })).toBeVisible();
  await alive(page);
  await tabTo(page, page.getByRole("button", { name: "End 1 session" }));
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Ended 1 session" })).toBeVisible();
});

test.describe("without scripts", () => {
  test.use({ javaScriptEnabled: false });

  test("ticked sessions end, and all that match", async ({ page }) => {
    await page.goto("/sessions?state=active&q=alderfinch");
    await expect(page.getByRole("checkbox", { name: "Select all on this page" })).toBeHidden();
    await page.getByRole("button", { name: "End selected…" }).click();
    await expect(page.getByRole("alert")).toContainText("No session is ticked.");
    await boxes(page).nth(0).check();
    await boxes(page).nth(2).check();
    await page.getByRole("button", { name: "End selected…" }).click();
    await page.getByRole("button", { name: "End 2 sessions" }).click();
    await expect(page.getByRole("heading", { name: "Ended 2 sessions" })).toBeVisible();
    await page.goto("/sessions?q=alderfinch");
    await page.getByRole("button", { name: /that match/ }).click();
    await page.getByRole("button", { name: /^End \d+ sessions$/ }).click();
    await expect(page.getByRole("heading", { name: /^Ended \d+ sessions$/ })).toBeVisible();
  });
});
