import { inspect } from "../support/axe.js";
import { ADMIN, FIREFOX_ON_LINUX, expect, fillSignIn, open, rows, serve, signIn, test } from "../support/test.js";

serve({ settings: ["--demo", "300"] });

const VIEWS = [
  ["light", 1280],
  ["dark", 1280],
  ["light", 360],
  ["dark", 360],
];

for (const [colorScheme, width] of VIEWS) {
  test.describe(`${colorScheme}, ${width} px wide`, () => {
    test.use({ colorScheme, viewport: { width, height: 780 } });

    test("filters and columns of the sessions", async ({ page }) => {
      await signIn(page, ADMIN);
      for (const path of [
        "/sessions?ip=10.0.0.0%2F8&browser=Firefox&idle_for=10s",
        "/sessions/filters?apply=true&ip=300&state=active",
        "/sessions/filters?state=active",
        "/sessions/columns",
      ]) {
        await open(page, path);
        await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
        await inspect(page, path);
      }
    });

    test("signing in, with its error and its reason", async ({ page, watch }) => {
      for (const path of ["/sign-in", "/forgot-password", "/reset-password", "/reset-password/x", "/not-me/x", "/help/troubleshooting", "/api/docs"]) {
        await page.goto(path);
        await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
        await inspect(page, path);
      }
      watch.allow(/status of 401/);
      await open(page, "/sign-in?next=%2Faccount%2Fsessions");
      await fillSignIn(page, { ...ADMIN, password: "not the right password" });
      await expect(page.getByRole("alert")).toBeVisible();
      await inspect(page, "/sign-in with an error");
      await fillSignIn(page, ADMIN);
      await expect(page.getByRole("heading", { name: "My sessions" })).toBeVisible();
      const here = await page.context().storageState();
      const again = await page.context().newPage();
      await signIn(again, ADMIN);
      await page.context().clearCookies();
      await page.context().addCookies(here.cookies);
      await page.goto("/sessions");
      await expect(page.getByRole("status").filter({ hasText: "replaced" })).toBeVisible();
      await inspect(page, "/sign-in with a reason");
    });

    test("the dashboard, its dialog, its toast and its errors", async ({ page, another, watch }) => {
      await signIn(page, ADMIN);
      for (const path of [
        "/sessions",
        "/sessions?q=nobody-has-this",
        "/sessions?state=ended&page_size=20",
        "/sessions?page=9&sort=user",
      ]) {
        await open(page, path);
        await inspect(page, path);
      }
      await page.keyboard.press("?");
      await expect(page.getByRole("region", { name: "Shortcuts" })).toBeVisible();
      await inspect(page, "/sessions with its shortcuts");

      await signIn(await another({ userAgent: FIREFOX_ON_LINUX }), ADMIN);
      await open(page, "/sessions");
      // Earlier tests of this file have left more of them; the newest comes first.
      await page.getByRole("link", { name: "End Firefox on Linux of Administrator" }).first().click();
      const dialog = page.getByRole("dialog");
      await expect(dialog).toBeVisible();
      await inspect(page, "the dialog");
      await page.route(/rpc\/end_session/, (route) => route.abort());
      watch.allow(/ERR_FAILED/);
      await dialog.getByRole("button", { name: "End session" }).click();
      await expect(dialog.getByRole("alert")).toBeVisible();
      await inspect(page, "the dialog with an error");
      await page.unroute(/rpc\/end_session/);
      await dialog.getByRole("button", { name: "End session" }).click();
      await expect(page.getByRole("status").filter({ hasText: "Ended the session" })).toBeVisible();
      await inspect(page, "the toast");
      await page.getByRole("row").filter({ hasText: "Current session" }).getByRole("link", { name: /^End / }).click();
      await expect(page.getByRole("dialog", { name: "End your own session?" })).toBeVisible();
      await inspect(page, "the dialog about one's own session");
      await page.keyboard.press("Escape");
      await page.route(/rpc\/(list_sessions|session_stats)/, (route) => route.abort());
      await page.getByRole("link", { name: "Refresh" }).click();
      await expect(page.getByRole("alert").first()).toBeVisible();
      await inspect(page, "/sessions when the server is away");
    });

    test("one session, its confirmation, and pages that are not there", async ({ page, watch }) => {
      await signIn(page, ADMIN);
      for (const state of ["active", "ended"]) {
        await page.goto(`/sessions?q=example&state=${state}`);
        const path = await rows(page).first().getByRole("link").first().getAttribute("href");
        for (const shown of [path, `${path}/end`]) {
          await open(page, shown);
          await inspect(page, `${shown}, ${state}`);
        }
      }
      await page.goto("/sessions");
      const own = await rows(page)
        .filter({ hasText: "Current session" })
        .getByRole("link")
        .first()
        .getAttribute("href");
      await open(page, `${own}/end`);
      await inspect(page, "the confirmation about one's own session");
      await open(page, "/sessions?q=alderfinch");
      await page.getByRole("button", { name: "End selected…" }).click();
      await expect(page.getByRole("alert")).toBeVisible();
      await inspect(page, "/sessions with nothing ticked");
      await page.getByRole("button", { name: /that match/ }).click();
      await expect(page.getByRole("heading", { name: /^End \d+ sessions\?$/ })).toBeVisible();
      await inspect(page, "the confirmation about many");
      await open(page, "/policy");
      await inspect(page, "/policy");
      watch.allow(/status of 404/);
      for (const path of ["/nowhere", "/sessions/nothing", "/sessions/01890a5d-ac96-774b-bcce-b302099a8057"]) {
        await page.goto(path);
        await expect(page.getByRole("heading", { name: "There is nothing here" })).toBeVisible();
        await inspect(page, path);
      }
    });

    test("My Sessions, its confirmations, and Security", async ({ page, another, watch }) => {
      await signIn(await another({ userAgent: FIREFOX_ON_LINUX }), ADMIN);
      await signIn(page, ADMIN);
      await open(page, "/account/sessions");
      await inspect(page, "/account/sessions");
      const end = page.getByRole("link", { name: "End Firefox on Linux" }).first();
      const confirmation = await end.getAttribute("href");
      await end.click();
      await expect(page.getByRole("dialog")).toBeVisible();
      await inspect(page, "/account/sessions with its dialog");
      for (const path of [
        confirmation,
        confirmation.replace(/end$/, "rename"),
        "/account/sessions?state=ended",
        "/account/sessions/end?scope=others",
        "/account/sessions/end?scope=all",
        "/account/keys",
        "/account/security",
      ]) {
        await open(page, path);
        await inspect(page, path);
      }
      watch.allow(/status of 400/);
      await page.getByLabel("Current password").fill("wrong");
      await page.getByLabel("New password", { exact: true }).fill("short");
      await page.getByLabel("New password, once more").fill("short");
      await page.getByRole("button", { name: "Change password" }).click();
      await expect(page.getByText("New password needs at least 15 characters.")).toBeVisible();
      await inspect(page, "/account/security with an error");
      await page.route(/rpc\/list_own_sessions/, (route) => route.abort());
      watch.allow(/ERR_FAILED/);
      await open(page, "/account/sessions");
      await page.getByRole("link", { name: "Refresh" }).click();
      await expect(page.getByRole("alert")).toBeVisible();
      await inspect(page, "/account/sessions when the server is away");
    });

    test("the audit trail, with an event opened, an error and nothing to show", async ({ page, watch }) => {
      await signIn(page, ADMIN);
      await open(page, "/audit");
      await inspect(page, "/audit");
      await page.getByRole("region", { name: "Audit trail" }).getByRole("listitem").first().locator("summary").click();
      await expect(page.getByText("Request", { exact: true }).first()).toBeVisible();
      await inspect(page, "/audit with an event opened");
      await open(page, "/audit?action=user.locked&outcome=refused");
      await expect(page.getByRole("heading", { name: "No event matches" })).toBeVisible();
      await inspect(page, "/audit with nothing to show");
      watch.allow(/status of 400/);
      await open(page, "/audit?ip=somewhere");
      await expect(page.getByRole("alert")).toBeVisible();
      await inspect(page, "/audit with an error");
    });

    test("what is not open to a member", async ({ page, server, watch }) => {
      await signIn(page, server.demoUsers().member);
      watch.allow(/status of 403/);
      await page.goto("/sessions");
      await expect(page.getByRole("heading", { name: "This is not open to you" })).toBeVisible();
      await inspect(page, "403");
    });
  });
}
