import { ADMIN, FIREFOX_ON_LINUX, expect, fillSignIn, rows, serve, signIn, test } from "../support/test.js";

serve({ settings: ["--demo", "400"] });

test.use({ javaScriptEnabled: false });

// Pages ask the browser to fetch the application early; without scripts nothing uses it.
test.beforeEach(({ watch }) => watch.allow(/preloaded using link preload but not used/));

const search = (page) => page.getByRole("searchbox", { name: "Search sessions" });
const press = (page, name) => page.getByRole("button", { name, exact: true }).click();

test("a wrong password is said in words, and the right one leads where one wanted to go", async ({ page }) => {
  await page.goto("/sessions?q=cedar");
  await expect(page).toHaveURL("/sign-in?next=%2Fsessions%3Fq%3Dcedar");
  await fillSignIn(page, { ...ADMIN, password: "not the right password" });
  await expect(page.getByRole("alert")).toContainText(
    "E-mail or password is wrong, or the account is locked or disabled.",
  );
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await fillSignIn(page, ADMIN);
  await expect(page).toHaveURL("/sessions?q=cedar");
  await expect(rows(page).filter({ hasText: "cedar" })).toHaveCount(10);
});

test("search, order, pages, state and kind work by forms and links", async ({ page }) => {
  await signIn(page, ADMIN);
  await expect(page).toHaveURL("/sessions");
  await search(page).fill("ALDERFINCH");
  await press(page, "Search");
  await expect(page).toHaveURL(/[?&]q=ALDERFINCH/);
  await expect(rows(page).filter({ hasText: "alderfinch" })).toHaveCount(10);
  await expect(search(page)).toHaveValue("ALDERFINCH");
  await page.getByRole("columnheader", { name: "Duration" }).getByRole("link").click();
  await expect(page.getByRole("columnheader", { name: "Duration" })).toHaveAttribute("aria-sort", "descending");
  await page.getByRole("link", { name: "Next page" }).click();
  await expect(page.getByRole("link", { name: "Page 2", exact: true })).toHaveAttribute("aria-current", "page");
  await expect(rows(page).filter({ hasText: "alderfinch" })).toHaveCount(10);
  await page.getByLabel("Rows per page").selectOption("20");
  await press(page, "Show");
  await expect(page).toHaveURL(/page_size=20/);
  await expect(page).toHaveURL(/q=ALDERFINCH/);
  await expect(rows(page)).toHaveCount(20);
  await page.getByRole("group", { name: "State" }).getByRole("link", { name: "Active" }).click();
  await expect(page).toHaveURL(/state=active/);
  await page.getByLabel("Kind").selectOption("api");
  await press(page, "Search");
  await expect(page).toHaveURL(/kind=api/);
  await expect(page).toHaveURL(/state=active/);
  await expect(page).toHaveURL(/sort=-duration/);
  const found = await rows(page).count();
  expect(found).toBeGreaterThan(0);
  await expect(rows(page).filter({ hasText: "alderfinch" })).toHaveCount(found);
  await expect(rows(page).filter({ has: page.getByText("api", { exact: true }) })).toHaveCount(found);
  await expect(rows(page).filter({ has: page.getByText("Active", { exact: true }) })).toHaveCount(found);
  await page.goto("/sessions");
  await page.getByLabel("Go to page").fill("4");
  await press(page, "Go");
  await expect(page.getByRole("link", { name: "Page 4", exact: true })).toHaveAttribute("aria-current", "page");
});

test("a session is ended by way of a page that asks first", async ({ page, another }) => {
  const other = await another({ userAgent: FIREFOX_ON_LINUX });
  await signIn(other, ADMIN);
  await signIn(page, ADMIN);
  await page.getByRole("link", { name: "End Firefox on Linux of Administrator" }).click();
  await expect(page.getByRole("heading", { name: "End this session?" })).toBeVisible();
  const main = page.getByRole("main");
  await expect(main).toContainText(`Administrator (${ADMIN.email})`);
  await expect(main).toContainText("127.0.0.1");
  await page.getByRole("link", { name: "Cancel" }).click();
  await expect(page.getByText("Ends if unused")).toBeVisible();
  await page.getByRole("link", { name: "End session" }).click();
  await page.getByLabel("Reason").fill("left it open in the library");
  await press(page, "End session");
  await expect(main).toContainText("Ended by");
  await expect(main).toContainText("left it open in the library");

  await other.getByRole("link", { name: "My sessions" }).click();
  await expect(other).toHaveURL(/\/sign-in/);
  const why = other.getByRole("status").filter({ hasText: "ended" });
  await expect(why).toBeVisible();
  await other.reload();
  await expect(other.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await expect(why).toHaveCount(0);
});

test("one's own sessions: end one, end the others, change the password, sign out", async ({
  page,
  another,
  server,
}) => {
  const { member } = server.demoUsers();
  const device = async (options) => {
    const browser = await another(options);
    await signIn(browser, member);
    return browser;
  };
  await signIn(page, member);
  await expect(page).toHaveURL("/account/sessions");
  // The demo gave this member sessions of its own.
  await page.getByRole("link", { name: "End all other sessions" }).click();
  await press(page, "End the others");
  await expect(page).toHaveURL("/account/sessions");
  await expect(page.getByText("This is your only active session.")).toBeVisible();
  const firefox = await device({ userAgent: FIREFOX_ON_LINUX });
  const chromium = await device();

  await page.reload();
  await expect(page.getByRole("listitem").filter({ hasText: "This session" })).toHaveCount(1);
  await page.getByRole("link", { name: "End Firefox on Linux" }).click();
  await press(page, "End session");
  await expect(page).toHaveURL("/account/sessions");
  await expect(page.getByText("Firefox on Linux")).toHaveCount(0);
  await firefox.reload();
  await expect(firefox).toHaveURL(/\/sign-in/);

  await page.getByRole("link", { name: "End all other sessions" }).click();
  await expect(page.getByText("One other session is signed out at once. This one stays.")).toBeVisible();
  await press(page, "End the others");
  await expect(page.getByText("This is your only active session.")).toBeVisible();
  await chromium.reload();
  await expect(chromium).toHaveURL(/\/sign-in/);

  await page.getByRole("link", { name: "Security" }).click();
  const change = async (current, next, again = next) => {
    await page.getByLabel("Current password").fill(current);
    // The label's text goes on with what is wrong.
    await page.getByLabel(/^New password(?!,)/).fill(next);
    await page.getByLabel("New password, once more").fill(again);
    await press(page, "Change password");
  };
  await change(member.password, "short");
  await expect(page.getByText("New password needs at least 15 characters.")).toBeVisible();
  await change(member.password, "walnut compass river fable", "walnut compass river table");
  await expect(page.getByText("New password, once more does not match.")).toBeVisible();
  await change(member.password, "walnut compass river fable");
  await expect(page.getByText("Your password was changed.")).toBeVisible();

  await press(page, "Sign out");
  await expect(page).toHaveURL(/\/sign-in/);
  await page.goto("/account/sessions");
  await expect(page).toHaveURL(/\/sign-in\?next=/);
  await fillSignIn(page, { ...member, password: "walnut compass river fable" });
  await expect(page).toHaveURL("/account/sessions");
});

test("all of one's own sessions end at once, this one too", async ({ page, server }) => {
  await signIn(page, server.demoUsers().administrator);
  await page.goto("/account/sessions");
  await page.getByRole("link", { name: "End all, with this one" }).click();
  await expect(page.getByText("You will be signed out at once. Save your work first.")).toBeVisible();
  await press(page, "End all and sign out");
  await expect(page).toHaveURL(/\/sign-in/);
  await page.goto("/sessions");
  await expect(page).toHaveURL(/\/sign-in/);
});
