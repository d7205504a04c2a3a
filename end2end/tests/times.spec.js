import { ADMIN, alive, expect, open, rows, serve, signIn, test } from "../support/test.js";

serve();
test.use({ timezoneId: "America/New_York" });

// What a clock in that zone shows, by the browser's own reckoning.
const civil = (moment, timeZone) => {
  const format = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium", timeZone });
  return format.format(new Date(moment));
};

async function expectZone(page, zone) {
  const shown = page.getByText(/^as of \d\d:\d\d:\d\d /);
  await expect(shown).toHaveText(new RegExp(`^as of \\d\\d:\\d\\d:\\d\\d ${zone}$`));
  const created = rows(page)
    .first()
    .getByRole("time")
    .filter({ hasText: /^\d{4}-/ });
  await expect(created).toHaveText(civil(await created.getAttribute("datetime"), zone));
  await expect(created).toHaveAttribute("title", new RegExp(`^\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d ${zone}$`));
  const hour = (await shown.innerText()).slice("as of ".length, "as of ".length + 2);
  expect([0, 1].map((minutes) => civil(Date.now() - minutes * 60_000, zone).slice(11, 13))).toContain(hour);
}

test("times and 'as of' follow the browser, then the zone that one chooses", async ({ page }) => {
  await signIn(page, ADMIN);
  await open(page, "/sessions");
  await expectZone(page, "America/New_York");
  await page.getByRole("link", { name: "Security" }).click();
  await page.getByLabel("Show times in").selectOption("Asia/Tokyo");
  await page.getByRole("button", { name: "Save time zone" }).click();
  await expect(page.getByText("Times are shown in Asia/Tokyo now.")).toBeVisible();
  await expect(page.getByLabel("Show times in")).toHaveValue("Asia/Tokyo");
  await open(page, "/sessions");
  await expectZone(page, "Asia/Tokyo");
  await page.getByRole("link", { name: "Refresh" }).click();
  await expectZone(page, "Asia/Tokyo");
  await open(page, "/account/security");
  await page.getByLabel("Show times in").selectOption({ label: "The browser's time zone" });
  await page.getByRole("button", { name: "Save time zone" }).click();
  await expect(page.getByText("Times are shown in America/New_York now.")).toBeVisible();
});

test("the server's own zone is shown to a browser that has told none", async ({ another }) => {
  const page = await another({ javaScriptEnabled: false });
  await signIn(page, ADMIN);
  await expectZone(page, "UTC");
});

test("relative times tick by themselves, and show the exact time", async ({ page }) => {
  await signIn(page, ADMIN);
  await alive(page);
  const row = rows(page).filter({ hasText: "Current session" });
  const ago = row.getByRole("time").filter({ hasText: /ago|just now/ });
  await expect(ago).toHaveText(/^\d+ seconds ago$/);
  const first = await ago.innerText();
  await expect(ago).not.toHaveText(first);
  await expect(ago).toHaveText(/^\d+ seconds ago$/);
  await expect(ago).toHaveAttribute("title", /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (America\/New_York|UTC)$/);
});
