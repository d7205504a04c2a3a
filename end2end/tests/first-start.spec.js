import { FIREFOX_ON_LINUX, alive, card, expect, fillSignIn, open, rows, signIn, test } from "../support/test.js";

test.use({ fresh: { firstStart: true } });
const CHOSEN = "violet anchor thunder basket";

async function signInFirst(page, server) {
  const first = server.firstSignIn();
  await open(page, "/");
  await expect(page).toHaveURL("/sign-in");
  await fillSignIn(page, first);
  await expect(page).toHaveURL("/account/security");
  return first;
}

async function choosePassword(page, { password }) {
  await alive(page);
  await page.getByLabel("Current password").fill(password);
  await page.getByLabel("New password", { exact: true }).fill(CHOSEN);
  await page.getByLabel("New password, once more").fill(CHOSEN);
  await page.getByRole("button", { name: "Change password" }).click();
  await expect(page.getByText("Your password was changed.")).toBeVisible();
}

test("the printed password opens nothing but the change of it", async ({ page, server }) => {
  const first = await signInFirst(page, server);
  await expect(page.getByText("You signed in with a one-time password.")).toBeVisible();
  for (const path of ["/", "/sessions", "/account/sessions", "/account/sessions/end?scope=all"]) {
    await page.goto(path);
    await expect(page, path).toHaveURL("/account/security");
  }
  await expect(page.getByRole("link", { name: "Sessions", exact: true })).toHaveCount(0);
  await choosePassword(page, first);
  await alive(page);
  await page.getByRole("link", { name: "Sessions", exact: true }).click();
  await expect(page).toHaveURL("/sessions");
  await expect(page.getByRole("heading", { name: "Sessions", level: 1 })).toBeVisible();
});

test("the administrator sees a second browser after Refresh, ends it, and it learns why", async ({
  page,
  server,
  another,
  watch,
}) => {
  const first = await signInFirst(page, server);
  await choosePassword(page, first);
  await open(page, "/sessions");
  await expect(card(page, "Total sessions")).toHaveText("1");
  await expect(card(page, "Active sessions")).toHaveText("1");
  await expect(card(page, "Unique users")).toHaveText("1");
  await expect(card(page, "Average duration")).toHaveText(/^\d+\.\d minutes$/);
  await expect(rows(page)).toHaveCount(1);
  const own = rows(page).filter({ hasText: "Current session" });
  await expect(own).toHaveCount(1);
  await expect(own).toContainText(first.email);
  await expect(own).toContainText("Active");
  await expect(own.getByText(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/)).toBeVisible();

  const other = await another({ userAgent: FIREFOX_ON_LINUX });
  await signIn(other, { email: first.email, password: CHOSEN });
  await alive(other);
  await expect(rows(page)).toHaveCount(1);
  await page.getByRole("link", { name: "Refresh" }).click();
  await expect(rows(page)).toHaveCount(2);
  await expect(card(page, "Active sessions")).toHaveText("2");

  const end = page.getByRole("link", { name: "End Firefox on Linux of Administrator" });
  const dialog = page.getByRole("dialog", { name: "End this session?" });
  await end.click();
  await expect(dialog).toContainText(`Administrator (${first.email})`);
  await expect(dialog).toContainText("Firefox");
  await expect(dialog).toContainText("Linux");
  await expect(dialog).toContainText("127.0.0.1");
  await expect(dialog.getByRole("button", { name: "Cancel" })).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await expect(end).toBeFocused();
  await expect(rows(page).filter({ hasText: "Ended" })).toHaveCount(0);

  await end.click();
  await dialog.getByRole("button", { name: "End session" }).click();
  await expect(
    page.getByRole("status").filter({ hasText: "Ended the session of Administrator, Firefox on Linux." }),
  ).toBeVisible();
  await expect(dialog).toBeHidden();
  await expect(rows(page).filter({ hasText: "Firefox on Linux" })).toContainText("Ended");
  await expect(card(page, "Active sessions")).toHaveText("1");
  await expect(card(page, "Total sessions")).toHaveText("2");

  watch.allow(/status of 401/);
  await other.getByRole("link", { name: "My sessions" }).click();
  await expect(other).toHaveURL(/\/sign-in\?next=/);
  const why = other.getByRole("status").filter({ hasText: /ended (this|your) session/ });
  await expect(why).toBeVisible();
  await other.reload();
  await expect(other.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await expect(why).toHaveCount(0);
});
