import { ADMIN, alive, expect, rows, serve, signIn, tabTo, test } from "../support/test.js";

serve({ settings: ["--demo", "2000"] });

const form = (page) => page.getByRole("search").filter({ has: page.getByRole("button", { name: "Show sessions" }) });
const search = (page) => page.getByRole("searchbox", { name: "Search sessions" });
const chip = (page, words) => page.getByRole("link", { name: `Remove the filter ${words}` });

for (const javaScriptEnabled of [true, false]) {
  test.describe(javaScriptEnabled ? "with scripts" : "without scripts", () => {
    test.use({ javaScriptEnabled });
    test.beforeEach(async ({ page, watch }) => {
      watch.allow(/preloaded using link preload but not used/);
      await signIn(page, ADMIN);
      await page.goto("/sessions");
      if (javaScriptEnabled) await alive(page);
    });

    test("filters come from a form, stay while one searches and sorts, and go one by one", async ({ page }) => {
      await page.getByRole("link", { name: "Filters", exact: true }).click();
      await form(page).getByLabel("Browser or program").fill("firefox");
      await form(page).getByLabel("Accounts").selectOption("People");
      await form(page).getByRole("button", { name: "Show sessions" }).click();
      await expect(page).toHaveURL("/sessions?browser=firefox&service_account=false");
      await expect(rows(page).filter({ hasText: "Firefox" })).toHaveCount(10);
      if (javaScriptEnabled) await alive(page);
      await search(page).fill("a");
      if (!javaScriptEnabled) await page.getByRole("button", { name: "Search", exact: true }).click();
      await expect.poll(() => new URL(page.url()).searchParams.get("q")).toBe("a");
      await page.getByRole("columnheader", { name: "IP address" }).getByRole("link").click();
      await expect(page).toHaveURL("/sessions?q=a&browser=firefox&service_account=false&sort=ip");
      await chip(page, "Browser firefox").click();
      await expect(page).toHaveURL("/sessions?q=a&service_account=false&sort=ip");
      await expect(chip(page, "Browser firefox")).toHaveCount(0);
      await page.getByRole("link", { name: "Clear all filters" }).click();
      await expect(page).toHaveURL("/sessions?q=a&sort=ip");
      await expect(chip(page, "People")).toHaveCount(0);
    });

    test("an address in a row leads to all from there", async ({ page }) => {
      const address = await rows(page).first().getByRole("cell").nth(3).innerText();
      await rows(page).first().getByRole("link", { name: address, exact: true }).click();
      await expect(chip(page, `IP address ${address}`)).toBeVisible();
      const there = await rows(page).count();
      expect(there).toBeGreaterThan(0);
      await expect(rows(page).filter({ hasText: address })).toHaveCount(there);
    });

    test("a user with several sessions leads to them", async ({ page }) => {
      await page.goto("/sessions?several=true&state=active&page_size=20");
      const tag = rows(page).getByRole("link", { name: /^\d+ sessions of / }).first();
      const many = Number((await tag.innerText()).split(" ")[0]);
      expect(many).toBeGreaterThan(1);
      await tag.click();
      await expect(page.getByText(`Total ${many} items`, { exact: true })).toBeVisible();
    });

    test("what cannot be read is said beside its field, and shows no session", async ({ page, watch }) => {
      watch.allow(/status of 400/);
      await page.goto("/sessions/filters");
      await form(page).getByLabel("IP address").fill("10.0.0.999");
      await form(page).getByLabel("Not used for").fill("2h");
      await form(page).getByRole("button", { name: "Show sessions" }).click();
      const field = form(page).getByLabel("IP address");
      await expect(field).toHaveAccessibleDescription(/This cannot be read\./);
      await expect(field).toHaveValue("10.0.0.999");
      await expect(form(page).getByLabel("Not used for")).toHaveValue("2h");
      await page.goto("/sessions?ip=10.0.0.999");
      await expect(page.getByText("ip cannot be read.")).toBeVisible();
      await expect(rows(page)).toHaveCount(0);
      await page.getByRole("link", { name: "Change the filters" }).click();
      await expect(form(page).getByLabel("IP address")).toHaveValue("10.0.0.999");
    });

    test("a filter is saved under a name, opened and deleted", async ({ page }) => {
      const name = javaScriptEnabled ? "Idle people" : "Idle people, plainly";
      await page.goto("/sessions/filters?service_account=false&idle_for=10s");
      await page.getByLabel("Name", { exact: true }).fill(name);
      await page.getByRole("button", { name: "Save", exact: true }).click();
      const saved = page.getByRole("region", { name: "Saved filters" });
      await saved.getByRole("link", { name, exact: true }).click();
      await expect(page).toHaveURL("/sessions?idle_for=10s&service_account=false");
      await expect(chip(page, "Not used for 10 seconds")).toBeVisible();
      await page.goto("/sessions/filters");
      await saved.getByRole("button", { name: `Delete ${name}`, exact: true }).click();
      await expect(page.getByRole("link", { name, exact: true })).toHaveCount(0);
    });

    test("columns are chosen and come with the user to another browser", async ({ page, another }) => {
      await page.getByRole("link", { name: "Columns", exact: true }).click();
      await page.getByLabel("Timeout").check();
      await page.getByLabel("Browser and system").uncheck();
      await page.getByRole("button", { name: "Save" }).click();
      const heading = (where, name) => where.getByRole("columnheader", { name, exact: true });
      await expect(heading(page, "Timeout")).toBeVisible();
      await expect(heading(page, "Browser and system")).toHaveCount(0);
      const other = await another();
      await signIn(other, ADMIN);
      await expect(heading(other, "Timeout")).toBeVisible();
      await page.getByRole("link", { name: "Columns", exact: true }).click();
      await page.getByRole("button", { name: "Restore the default" }).click();
      await expect(heading(page, "Browser and system")).toBeVisible();
      await expect(heading(page, "Timeout")).toHaveCount(0);
    });
  });
}

test("filters are set and taken away by the keyboard alone", async ({ page }) => {
  await signIn(page, ADMIN);
  await alive(page);
  await tabTo(page, page.getByRole("link", { name: "Filters", exact: true }));
  await page.keyboard.press("Enter");
  await tabTo(page, form(page).getByLabel("System"));
  await page.keyboard.type("linux");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL("/sessions?system=linux");
  await alive(page);
  await tabTo(page, chip(page, "System linux"));
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL("/sessions");
});
