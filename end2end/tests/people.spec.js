// Users, roles and organisations: pages without scripts, in a browser that has them all the same.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { ADMIN, PASSWORD, alive, expect, fillSignIn, open, serve, signIn, test } from "../support/test.js";

const ADA = { email: "ada@acme.example", name: "Ada Acme", role: "administrator", organisation: "Acme" };
const NORA = { email: "nora@acme.example", name: "Nora Acme", organisation: "Acme" };
const SAM = { email: "sam@acme.example", name: "Sam Acme", role: "session_manager", organisation: "Acme" };
const BO = { email: "bo@globex.example", name: "Bo Globex", organisation: "Globex" };

serve({ users: [ADA, NORA, SAM, BO] });

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const as = (user) => ({ email: user.email, password: PASSWORD });
const table = (page, name) =>
  page
    .getByRole("table", { name })
    .getByRole("row")
    .filter({ has: page.getByRole("cell") });
const press = (page, name) => page.getByRole("button", { name, exact: true }).click();

// Leaves the frame by a link of the navigation; the page that comes is the server's alone.
const go = (page, name) => page.getByRole("navigation", { name: "Rollcall" }).getByRole("link", { name, exact: true }).click();

async function lock(another, user) {
  const guesser = await another();
  await guesser.goto("/sign-in");
  for (let wrong = 0; wrong < 5; wrong += 1) {
    await fillSignIn(guesser, { ...as(user), password: `wrong number ${wrong}` });
    await expect(guesser.getByRole("alert")).toContainText("E-mail or password is wrong");
  }
  await guesser.context().close();
}

test("the navigation shows what each role may open, and nothing else opens", async ({ page, another, watch }) => {
  watch.allow(/status of 403/);
  const shown = async (one) => one.getByRole("navigation", { name: "Rollcall" }).locator("a.item").allInnerTexts();
  await signIn(page, ADMIN);
  const own = ["My sessions", "Security"];
  expect(await shown(page)).toEqual(["Sessions", "Clients", "Users", "Locked", "Organisations", "Roles", "Policy", "Audit", "Integrations", ...own]);
  for (const [user, expected, closed] of [
    [ADA, ["Sessions", "Clients", "Users", "Locked", "Roles", "Policy", "Audit", ...own], ["/organisations", "/integrations"]],
    [SAM, ["Sessions", "Clients", "Users", "Locked", ...own], ["/organisations", "/roles", "/roles/new", "/users/new", "/policy", "/audit"]],
    [NORA, own, ["/users", "/users?active=true", "/users/locked", "/roles", "/organisations"]],
  ]) {
    const other = await another();
    await signIn(other, as(user));
    expect(await shown(other), user.name).toEqual(expected);
    for (const path of closed) {
      expect((await other.goto(path)).status(), `${user.name} on ${path}`).toBe(403);
      await expect(other.getByRole("heading", { name: "This is not open to you" })).toBeVisible();
    }
    // Other tests count open sessions.
    await other.getByRole("button", { name: "Sign out" }).click();
    await expect(other).toHaveURL(/sign-in/);
    await other.context().close();
  }
});

test("a user is created, signs in with the one-time password, is edited and deleted", async ({ page, another, watch }) => {
  watch.allow(/status of 40[134]/);
  await signIn(page, as(ADA));
  await go(page, "Users");
  await page.getByRole("link", { name: "Create user" }).click();
  await page.getByLabel("E-mail").fill("vera@acme.example");
  await page.getByLabel("Name").fill("Vera Acme");
  await page.getByLabel("Primary role").selectOption("Quality Manager");
  await page.getByRole("checkbox", { name: "Session manager" }).check();
  await press(page, "Create user");
  await expect(page.getByRole("heading", { level: 1, name: "Vera Acme" })).toBeVisible();
  const address = page.url();
  const shown = page.getByRole("status", { name: "One-time password" });
  const password = await shown.locator("code").innerText();
  expect(password).toMatch(/^([a-z2-9]{5}-){3}[a-z2-9]{5}$/);
  expect(address).not.toContain(password);
  await page.reload();
  await expect(page.getByRole("heading", { level: 1, name: "Vera Acme" })).toBeVisible();
  await expect(shown).toHaveCount(0);
  await expect(page.getByRole("main")).toContainText("Quality Manager");
  await expect(page.getByRole("main")).toContainText("one-time password");

  const vera = await another();
  await signIn(vera, { email: "vera@acme.example", password });
  await expect(vera.getByRole("main")).toContainText("Choose your own now");
  await alive(vera);
  await vera.getByLabel("Current password").fill(password);
  await vera.getByLabel("New password", { exact: true }).fill(PASSWORD);
  await vera.getByLabel("New password, once more").fill(PASSWORD);
  await press(vera, "Change password");
  await expect(vera.getByRole("main")).toContainText("Your password was changed");
  await open(vera, "/sessions");
  await expect(vera.getByRole("heading", { name: "Sessions", level: 1 })).toBeVisible();

  // An e-mail that somebody has is refused in words, and nothing changes.
  await page.getByLabel("E-mail").fill(BO.email);
  await press(page, "Save");
  await expect(page.getByRole("alert")).toContainText("Another user has this e-mail");
  await page.goto(address);
  await page.getByLabel("Name").fill("Vera Rossi");
  await page.getByRole("checkbox", { name: "Session manager" }).uncheck();
  await press(page, "Save");
  await expect(page.getByRole("heading", { level: 1, name: "Vera Rossi" })).toBeVisible();
  // From the next request on.
  expect((await vera.goto("/sessions")).status()).toBe(403);

  await page.getByRole("link", { name: "Delete", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Delete Vera Rossi?" })).toBeVisible();
  await expect(page.getByRole("main")).toContainText("One open session ends at once");
  await press(page, "Delete");
  await expect(page).toHaveURL("/users");
  await expect(table(page, "Users").filter({ hasText: "Vera" })).toHaveCount(0);
  expect((await page.goto(address)).status()).toBe(404);
  await vera.goto("/account/sessions");
  await expect(vera).toHaveURL(/sign-in/);
});

test("active users: Logout asks with the count and ends all sessions", async ({ page, another }) => {
  const [first, second] = [await another(), await another()];
  await signIn(first, as(NORA));
  await signIn(second, as(NORA));
  await signIn(page, as(SAM));
  await go(page, "Users");
  await page.getByRole("group", { name: "State" }).getByRole("link", { name: "Active" }).click();
  await expect(page.getByRole("heading", { name: "Active users" })).toBeVisible();
  const row = table(page, "Users").filter({ hasText: NORA.email });
  await expect(row).toContainText("Member");
  await expect(row.getByRole("cell").nth(4)).toHaveText("2");
  await expect(table(page, "Users").filter({ hasText: BO.email })).toHaveCount(0);
  await row.getByRole("link", { name: "Logout Nora Acme" }).click();
  await expect(page.getByRole("heading", { name: "Logout Nora Acme?" })).toBeVisible();
  await expect(page.getByRole("main")).toContainText("2 open sessions end at once");
  await press(page, "Logout");
  await expect(page.getByRole("heading", { level: 1, name: "Nora Acme is logged out" })).toBeVisible();
  await page.getByRole("link", { name: "Back to the user" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Nora Acme" })).toBeVisible();
  await expect(page.getByRole("main")).toContainText("0 sessions");
  await expect(table(page, "Sessions").filter({ hasText: "Ended" }).first()).toBeVisible();
  for (const signedOut of [first, second]) {
    await signedOut.goto("/account/sessions");
    await expect(signedOut).toHaveURL(/sign-in/);
    await expect(signedOut.getByRole("main")).toContainText("administrator");
  }
  // One of them only, from the user's page.
  await signIn(first, as(NORA));
  await page.reload();
  await page.getByRole("link", { name: /^End / }).click();
  await alive(page);
  await press(page, "End session");
  await first.goto("/account/sessions");
  await expect(first).toHaveURL(/sign-in/);
});

test("a locked account is shown, and only who may unlocks it", async ({ page, another, watch }) => {
  watch.allow(/status of 401/);
  await lock(another, NORA);
  const manager = await another();
  await signIn(manager, as(SAM));
  await go(manager, "Locked");
  await expect(table(manager, "Locked users").filter({ hasText: NORA.email })).toHaveCount(1);
  await expect(manager.getByRole("button", { name: /Unlock/ })).toHaveCount(0);
  await signIn(page, as(ADA));
  await go(page, "Locked");
  await press(page, "Unlock Nora Acme");
  await expect(page.getByRole("heading", { name: "No account is locked" })).toBeVisible();
  const nora = await another();
  await signIn(nora, as(NORA));
});

test("a role of the organisation is made, given, edited and deleted", async ({ page }) => {
  await signIn(page, as(ADA));
  await go(page, "Roles");
  await page.getByRole("link", { name: "Make a role" }).click();
  await page.getByLabel("Name").fill("Auditor");
  await page.getByRole("checkbox", { name: /^audit\.view/ }).check();
  await expect(page.getByRole("checkbox", { name: /^organisations\.manage/ })).toHaveCount(0);
  await press(page, "Make role");
  const row = table(page, "Roles").filter({ hasText: "Auditor" });
  await expect(row).toContainText("audit.view");
  await row.getByRole("link", { name: "Edit of Auditor" }).click();
  await page.getByLabel("Name").fill("Reader");
  await press(page, "Save");
  await expect(table(page, "Roles").filter({ hasText: "Reader" })).toHaveCount(1);
  await table(page, "Roles").filter({ hasText: "Administrator" }).first().getByRole("link", { name: /^Details/ }).click();
  await expect(page.getByRole("button", { name: "Save" })).toHaveCount(0);
  await go(page, "Roles");
  await page.getByRole("link", { name: "Edit of Reader" }).click();
  await press(page, "Delete role");
  await expect(table(page, "Roles").filter({ hasText: "Reader" })).toHaveCount(0);
});

test("an organisation is made, renamed, disabled and enabled", async ({ page, another }) => {
  const bo = await another();
  await signIn(bo, as(BO));
  await signIn(page, ADMIN);
  await go(page, "Organisations");
  await page.getByLabel("Name of a new organisation").fill("Initech");
  await press(page, "Create");
  await expect(table(page, "Organisations").filter({ hasText: "Initech" })).toHaveCount(1);
  await page.getByLabel("Name of a new organisation").fill("Initech");
  await press(page, "Create");
  await expect(page.getByRole("alert")).toContainText("This name is taken");
  await page.getByRole("link", { name: "Manage Globex" }).click();
  await page.getByLabel("Name").fill("Globex Works");
  await press(page, "Save");
  await page.getByRole("link", { name: "Manage Globex Works" }).click();
  await page.getByRole("link", { name: "Disable organisation" }).click();
  await expect(page.getByRole("heading", { name: "Disable Globex Works?" })).toBeVisible();
  await expect(page.getByRole("main")).toContainText("One active session ends at once");
  await press(page, "Disable organisation");
  await expect(table(page, "Organisations").filter({ hasText: "Globex Works" })).toContainText("Disabled");
  await bo.goto("/account/sessions");
  await expect(bo).toHaveURL(/sign-in/);
  await page.getByRole("link", { name: "Manage Globex Works" }).click();
  await press(page, "Enable organisation");
  await expect(table(page, "Organisations").filter({ hasText: "Globex Works" })).toContainText("Enabled");
  await bo.goto("/account/sessions");
  await expect(bo).toHaveURL(/sign-in/);
});

for (const [colorScheme, width] of [["light", 1280], ["dark", 360]]) {
  test.describe(`${colorScheme}, ${width} px wide, without scripts`, () => {
    test.use({ colorScheme, viewport: { width, height: 780 }, javaScriptEnabled: false });

    test("search, order, pages and filters work by forms and links", async ({ page }) => {
      await signIn(page, ADMIN);
      await page.goto("/users");
      await page.getByRole("searchbox", { name: "Search users" }).fill("ACME.example");
      await press(page, "Search");
      await expect(page).toHaveURL(/q=ACME.example/);
      await expect(table(page, "Users")).toHaveCount(3);
      await page.getByRole("columnheader", { name: "Open sessions" }).getByRole("link").click();
      await expect(page.getByRole("columnheader", { name: "Open sessions" })).toHaveAttribute("aria-sort", "descending");
      await page.getByLabel("Role").selectOption("Session manager");
      await press(page, "Search");
      await expect(table(page, "Users")).toHaveCount(1);
      await page.getByLabel("Role").selectOption("Platform administrator");
      await press(page, "Search");
      await expect(page.getByRole("heading", { name: "Nobody matches" })).toBeVisible();
      await page.getByRole("link", { name: "Clear search and filters" }).click();
      await expect(table(page, "Users")).toHaveCount(5);
    });
  });
}

for (const [colorScheme, width] of [["light", 1280], ["dark", 1280], ["light", 360], ["dark", 360]]) {
  test.describe(`${colorScheme}, ${width} px wide`, () => {
    test.use({ colorScheme, viewport: { width, height: 780 } });

    test("axe finds nothing, and no page is wider than the window", async ({ page, watch }) => {
      watch.allow(/status of 404/);
      await signIn(page, ADMIN);
      await page.goto("/users?q=nora");
      const user = await page.getByRole("link", { name: "Details of Nora Acme" }).getAttribute("href");
      await page.goto("/organisations");
      const home = await page.getByRole("link", { name: "Manage Acme" }).getAttribute("href");
      const paths = ["/users", "/users?active=true", "/users?q=nobody", "/users/new", "/users/locked", user];
      const acts = ["end", "disable", "delete", "reset"].map((act) => `${user}/${act}`);
      const rules = ["/roles", "/roles/new", "/roles/administrator", "/organisations", home, `${home}/disable`, `${user}/nothing`];
      for (const path of [...paths, ...acts, ...rules]) {
        await page.goto(path);
        await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
        await page.evaluate(AXE);
        const found = await page.evaluate(async () => {
          const { violations } = await window.axe.run(document);
          return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 160)}`));
        });
        expect.soft(found, `axe on ${path}`).toEqual([]);
        const beyond = await page.evaluate(() => document.scrollingElement.scrollWidth - window.innerWidth);
        expect.soft(beyond, `${path} is wider than the window`).toBeLessThanOrEqual(0);
      }
    });
  });
}
