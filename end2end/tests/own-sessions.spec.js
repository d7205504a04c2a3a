import { ADMIN, FIREFOX_ON_LINUX, PASSWORD, alive, expect, open, serve, signIn, test } from "../support/test.js";

const users = ["one", "two", "three", "four", "five", "six"].map((number) => ({
  email: `${number}@rollcall.example`,
  name: `Member ${number}`,
  password: PASSWORD,
}));
const [READER, ENDER, OTHERS, ALL, SELF, NAMER] = users;

serve({ users });

const items = (page) => page.getByRole("main").getByRole("listitem");

test("ending the session that one is using warns, then signs out at once", async ({ page }) => {
  await signIn(page, ADMIN);
  await alive(page);
  await page.getByRole("row").filter({ hasText: "Current session" }).getByRole("link", { name: /^End / }).click();
  const dialog = page.getByRole("dialog", { name: "End your own session?" });
  await expect(dialog).toContainText("You will be signed out at once. Save your work first.");
  await expect(dialog.getByRole("button", { name: "Cancel" })).toBeFocused();
  await dialog.getByRole("button", { name: "End and sign out" }).click();
  await expect(page).toHaveURL("/sign-in");
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await page.goto("/sessions");
  await expect(page).toHaveURL("/sign-in?next=%2Fsessions");
});

test("a member has no dashboard, not even by its address", async ({ page, watch }) => {
  await signIn(page, READER);
  await expect(page).toHaveURL("/account/sessions");
  await expect(page.getByRole("heading", { name: "My sessions" })).toBeVisible();
  await expect(page.getByRole("link", { name: "Sessions", exact: true })).toHaveCount(0);
  await expect(page.getByRole("link", { name: "My sessions" })).toBeVisible();
  watch.allow(/status of 403/);
  const answer = await page.goto("/sessions");
  expect(answer.status()).toBe(403);
  await expect(page.getByRole("heading", { name: "This is not open to you" })).toBeVisible();
  await expect(page.getByRole("main")).toContainText("Ask an administrator for the permission.");
  await expect(page.getByRole("link", { name: "Troubleshooting" })).toBeVisible();
});

test("the session in use is marked, and another one is ended", async ({ page, another }) => {
  const other = await another({ userAgent: FIREFOX_ON_LINUX });
  await signIn(other, ENDER);
  await signIn(page, ENDER);
  await alive(page);
  await expect(items(page)).toHaveCount(2);
  await expect(items(page).filter({ hasText: "This session" })).toHaveCount(1);
  await expect(items(page).filter({ hasText: "This session" })).not.toContainText("Firefox");
  const end = page.getByRole("link", { name: "End Firefox on Linux" });
  await end.click();
  const dialog = page.getByRole("dialog", { name: "End this session?" });
  await expect(dialog).toContainText("127.0.0.1");
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await expect(end).toBeFocused();
  await end.click();
  await dialog.getByRole("button", { name: "End session" }).click();
  await expect(
    page.getByRole("status").filter({ hasText: "Ended the session of Member two, Firefox on Linux." }),
  ).toBeVisible();
  await expect(items(page)).toHaveCount(1);
  await expect(page.getByText("This is your only active session.")).toBeVisible();
  await other.reload();
  await expect(other).toHaveURL(/\/sign-in/);
  await expect(other.getByRole("status")).toHaveText("You ended this session from your list of sessions.");
});

test("all other sessions end, and this one stays", async ({ page, another }) => {
  const others = [await another(), await another({ userAgent: FIREFOX_ON_LINUX })];
  for (const other of others) await signIn(other, OTHERS);
  await signIn(page, OTHERS);
  await alive(page);
  await expect(items(page)).toHaveCount(3);
  await page.getByRole("link", { name: "End all other sessions" }).click();
  await expect(page.getByText("2 other sessions are signed out at once. This one stays.")).toBeVisible();
  await page.getByRole("button", { name: "End the others" }).click();
  await expect(page).toHaveURL("/account/sessions");
  await expect(items(page)).toHaveCount(1);
  await expect(items(page)).toContainText("This session");
  for (const other of others) {
    await other.reload();
    await expect(other).toHaveURL(/\/sign-in/);
  }
});

test("all sessions end, with this one", async ({ page, another }) => {
  const other = await another();
  await signIn(other, ALL);
  await signIn(page, ALL);
  await alive(page);
  await page.getByRole("link", { name: "End all, with this one" }).click();
  await expect(page.getByText("2 sessions are signed out at once, this one among them.")).toBeVisible();
  await page.getByRole("button", { name: "End all and sign out" }).click();
  await expect(page).toHaveURL(/\/sign-in/);
  for (const signedOut of [page, other]) {
    await signedOut.goto("/account/sessions");
    await expect(signedOut).toHaveURL(/\/sign-in/);
  }
});

test("ending this session from My Sessions warns and signs out", async ({ page }) => {
  await signIn(page, SELF);
  await open(page, "/account/sessions");
  await items(page).filter({ hasText: "This session" }).getByRole("link", { name: /^End / }).click();
  const dialog = page.getByRole("dialog", { name: "End your own session?" });
  await expect(dialog).toContainText("You will be signed out at once.");
  await dialog.getByRole("button", { name: "End and sign out" }).click();
  await expect(page).toHaveURL("/sign-in");
});

for (const javaScriptEnabled of [true, false]) {
  test.describe(javaScriptEnabled ? "with scripts" : "without scripts", () => {
    test.use({ javaScriptEnabled });
    test.beforeEach(({ watch }) => watch.allow(/preloaded using link preload but not used/));

    test("a session gets another name, and an ended one tells when and why", async ({ page, another }) => {
      const other = await another({ userAgent: FIREFOX_ON_LINUX });
      await signIn(other, NAMER);
      await signIn(page, NAMER);
      await items(page).filter({ hasText: "Firefox" }).getByRole("link", { name: "Rename Firefox on Linux" }).click();
      await expect(page.getByRole("heading", { name: "Rename this session" })).toBeVisible();
      const name = page.getByLabel("Session name");
      await expect(name).toHaveValue("Firefox on Linux");
      const called = javaScriptEnabled ? "Work laptop" : "Kiosk in the hall";
      await name.fill(called);
      await page.getByRole("button", { name: "Rename" }).click();
      await expect(page).toHaveURL("/account/sessions");
      await expect(items(page).filter({ hasText: called })).toHaveCount(1);
      await page.getByRole("link", { name: `End ${called}` }).click();
      await page.getByRole("button", { name: "End session" }).click();
      await expect(page.getByRole("link", { name: `End ${called}` })).toHaveCount(0);
      await page.getByRole("navigation", { name: "Which sessions" }).getByRole("link", { name: "Ended" }).click();
      await expect(page).toHaveURL("/account/sessions?state=ended");
      const ended = items(page).filter({ hasText: called });
      await expect(ended).toContainText("ended by the user");
      await expect(ended).toContainText(/Ended \d{4}-\d\d-\d\d \d\d:\d\d:\d\d by Member six/);
      await expect(ended.getByRole("link", { name: /^(End|Rename)/ })).toHaveCount(0);
      await page.getByRole("navigation", { name: "Which sessions" }).getByRole("link", { name: "Active" }).click();
      await expect(page).toHaveURL("/account/sessions");
      await expect(items(page).filter({ hasText: "This session" })).toHaveCount(1);
    });
  });
}
