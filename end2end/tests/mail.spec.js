// Forgotten passwords and new sign-ins, with mails that a real mail server takes.

import { inspect } from "../support/axe.js";
import * as canary from "../support/canary.js";
import { Mailbox } from "../support/mail.js";
import { freePort } from "../support/proxy.js";
import { ADMIN, FIREFOX_ON_LINUX, PASSWORD, alive, expect, fillSignIn, serve, signIn, test } from "../support/test.js";

const NEW = "nine loud geese before dawn";
const OTHER = "six proud storks at noon";

const users = ["forgets", "plain", "robbed", "told"].map((name) => ({
  email: `${name}@rollcall.example`,
  name: `Member ${name}`,
  password: PASSWORD,
}));
const [FORGETS, PLAIN, ROBBED, TOLD] = users;

const port = await freePort();
let mailbox;

test.beforeAll(async () => {
  mailbox = await Mailbox.start(port);
});
test.afterAll(() => mailbox.stop());

serve({ users, settings: (own) => Mailbox.settings(port, `http://localhost:${own}`) });

const press = (page, name) => page.getByRole("button", { name, exact: true }).click();
const heading = (page, name) => page.getByRole("heading", { level: 1, name });

// What was in a mail lies nowhere else, the pages of the link aside.
const spent = ({ link }) => canary.note(link.split("/").at(-1));

async function forget(page, who, password) {
  await page.goto("/sign-in");
  await page.getByRole("link", { name: "Forgot your password?" }).click();
  await page.getByLabel("E-mail").fill(who.email);
  await press(page, "Send a link");
  await expect(page.getByRole("status")).toContainText("a mail with a link is on its way");
  const mail = await mailbox.next(who.email);
  expect(mail.subject).toBe("Set a new password");
  await page.goto(mail.link);
  await expect(page.getByLabel("Account")).toHaveValue(who.email);
  await page.getByLabel("New password", { exact: true }).fill(password);
  await page.getByLabel("New password, once more").fill(`${password}x`);
  await press(page, "Set password");
  await expect(page.getByText("does not match")).toBeVisible();
  await page.getByLabel("New password", { exact: true }).fill(password);
  await page.getByLabel("New password, once more").fill(password);
  await press(page, "Set password");
  await expect(heading(page, "Sign in with your new password")).toBeVisible();
  await page.goto(mail.link);
  await expect(heading(page, "This link is not good any more")).toBeVisible();
  const told = await mailbox.next(who.email);
  expect(told.subject).toBe("Your password was changed");
  spent(mail);
  await page.getByRole("link", { name: "Sign in" }).click();
}

test("a forgotten password is set by a mail, and all sessions end", async ({ page, another }) => {
  const open = await another({ userAgent: FIREFOX_ON_LINUX });
  await signIn(open, FORGETS);
  await forget(page, FORGETS, NEW);
  await open.goto("/account/sessions");
  await expect(open).toHaveURL(/^[^?]*\/sign-in/);
  await expect(open.getByText("Your password was reset.")).toBeVisible();
  await alive(page);
  await fillSignIn(page, { ...FORGETS, password: NEW });
  await expect(heading(page, "My sessions")).toBeVisible();
});

test.describe("without scripts", () => {
  test.use({ javaScriptEnabled: false });
  test.beforeEach(({ watch }) => watch.allow(/preloaded using link preload but not used/));

  test("a forgotten password is set by a mail", async ({ page }) => {
    await forget(page, PLAIN, NEW);
    await fillSignIn(page, { ...PLAIN, password: NEW });
    await expect(heading(page, "My sessions")).toBeVisible();
  });
});

test("nobody learns whether there is such an account", async ({ page }) => {
  const answers = [];
  for (const email of ["nobody@rollcall.example", ADMIN.email]) {
    await page.goto("/forgot-password");
    await page.getByLabel("E-mail").fill(email);
    await press(page, "Send a link");
    await expect(page.getByRole("status")).toBeVisible();
    answers.push(`${page.url()} ${await page.getByRole("main").innerText()}`);
  }
  expect(answers[0]).toBe(answers[1]);
  spent(await mailbox.next(ADMIN.email));
});

test("a new browser is told of by mail, and reported by its link", async ({ page, another, watch }) => {
  watch.allow(/status of 401/);
  await signIn(page, ROBBED);
  const thief = await another({ userAgent: FIREFOX_ON_LINUX });
  await signIn(thief, ROBBED);
  const mail = await mailbox.next(ROBBED.email);
  expect(mail.subject).toBe("New sign-in to your account");
  expect(mail.text).toContain("Firefox on Linux");
  const phone = await another();
  await phone.goto(mail.link);
  await expect(heading(phone, "Was this not you?")).toBeVisible();
  await inspect(phone, "a link that reports a sign-in");
  await thief.reload();
  await expect(heading(thief, "My sessions")).toBeVisible();
  await press(phone, "End this session");
  await expect(phone.getByRole("status")).toContainText("That session was ended.");
  await thief.reload();
  await expect(thief.getByText("This session was reported as not yours and was ended.")).toBeVisible();
  await page.reload();
  await expect(heading(page, "My sessions")).toBeVisible();
  await press(phone, "End everything and void my password");
  await expect(phone.getByRole("status")).toContainText("All your sessions were ended.");
  await page.reload();
  await expect(page.getByText("This session was reported as not yours and was ended.")).toBeVisible();
  await alive(page);
  await fillSignIn(page, ROBBED);
  await expect(page.getByRole("alert")).toContainText("E-mail or password is wrong");
  const reset = await mailbox.next(ROBBED.email);
  expect(reset.subject).toContain("Set a new password");
  await phone.goto(reset.link);
  await inspect(phone, "a link that sets a password");
  await phone.getByLabel("New password", { exact: true }).fill(OTHER);
  await phone.getByLabel("New password, once more").fill(OTHER);
  await press(phone, "Set password");
  await phone.getByRole("link", { name: "Sign in" }).click();
  await alive(phone);
  await fillSignIn(phone, { ...ROBBED, password: OTHER });
  await expect(heading(phone, "My sessions")).toBeVisible();
  spent(mail);
  spent(reset);
});

test("My sessions marks a new sign-in until somebody says whose it was", async ({ page, another }) => {
  await signIn(page, TOLD);
  const news = page.getByRole("link", { name: "New sign-ins" });
  const mark = () => news.evaluate((link) => getComputedStyle(link, "::after").content);
  expect(await mark()).toBe("none");
  const phone = await another({ userAgent: FIREFOX_ON_LINUX });
  await signIn(phone, TOLD);
  await page.reload();
  expect(await mark()).toContain("new");
  await alive(page);
  expect(await mark()).toContain("new");
  await news.click();
  await expect(heading(page, "New sign-ins")).toBeVisible();
  const item = page.getByRole("main").getByRole("listitem");
  await expect(item).toContainText("Firefox on Linux");
  await inspect(page, "/account/notices");
  await press(page, "This was me: Firefox on Linux, 127.0.0.0/24");
  await expect(page.getByRole("heading", { name: "Nothing new" })).toBeVisible();
  await page.getByRole("link", { name: "My sessions" }).first().click();
  expect(await mark()).toBe("none");
  await phone.reload();
  await expect(heading(phone, "My sessions")).toBeVisible();
  spent(await mailbox.next(TOLD.email));
});
