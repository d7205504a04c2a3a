import { ADMIN, PASSWORD, alive, expect, fillSignIn, open, serve, signIn, test } from "../support/test.js";

const NORA = { email: "nora@rollcall.example", name: "Nora Field" };

serve({ users: [NORA] });

const field = (page, name) => page.getByLabel(name);

test("a limit is set, said beforehand, kept to, and taken away again", async ({ page, another, watch }) => {
  watch.allow(/status of 409/);
  await signIn(page, ADMIN, { next: "/policy" });
  await expect(page.getByRole("heading", { name: "Policy" })).toBeVisible();
  await alive(page);
  await expect(page.getByText("Now any number: the server's own value.")).toBeVisible();
  const first = await another();
  await signIn(first, { ...NORA, password: PASSWORD });
  const second = await another();
  await signIn(second, { ...NORA, password: PASSWORD });
  const most = field(page, /Sessions that a user may have at once/);
  await most.fill("1");
  await page.getByRole("button", { name: "What would happen?" }).click();
  const told = page.getByRole("status", { name: "What would happen" });
  await expect(told).toContainText("Nothing was saved yet, and no open session would end");
  await expect(told).toContainText("1 user has more sessions than that.");
  await expect(most).toHaveValue("1");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Saved. It applies from the next sign-in on.")).toBeVisible();
  await expect(page.getByText("Now 1: set for everybody.")).toBeVisible();
  const third = await another();
  await third.goto("/sign-in");
  await alive(third);
  await fillSignIn(third, { ...NORA, password: PASSWORD });
  await expect(third.getByRole("alert")).toContainText("one session at a time is allowed");
  await field(page, /Sessions that a user may have at once/).fill("");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Now any number: the server's own value.")).toBeVisible();
  await fillSignIn(third, { ...NORA, password: PASSWORD });
  await expect(third.getByRole("button", { name: "Sign out" })).toBeVisible();
});

test("a value that makes no sense is named, and nothing is saved", async ({ page, watch }) => {
  watch.allow(/status of 400/);
  await signIn(page, ADMIN, { next: "/policy" });
  await alive(page);
  const idle = field(page, "A session ends after so many seconds without use");
  await idle.fill("90000");
  for (const act of ["What would happen?", "Save"]) {
    await page.getByRole("button", { name: act }).click();
    await expect(page.getByRole("alert")).toContainText("“A session ends after so many seconds without use” must be from 60 to 86400.");
  }
  await expect(page.getByText("Now 30 minutes: the server's own value.")).toBeVisible();
});

test("the page is not a member's", async ({ another, watch }) => {
  watch.allow(/403/);
  const member = await another();
  await signIn(member, { ...NORA, password: PASSWORD });
  await expect(member.getByRole("link", { name: "Policy" })).toHaveCount(0);
  const answer = await member.goto("/policy");
  expect(answer.status()).toBe(403);
});

test.describe("without scripts", () => {
  test.use({ javaScriptEnabled: false });

  test("a rule is set for a role of an organisation", async ({ page }) => {
    await signIn(page, ADMIN, { next: "/policy" });
    await page.locator("select[name=organisation]").selectOption({ label: "Default" });
    await page.locator("select[name=role]").selectOption({ label: "Member" });
    await page.getByRole("button", { name: "Show" }).click();
    await field(page, "What becomes of one more").selectOption({ label: "The user says which one ends" });
    await page.getByRole("button", { name: "Save" }).click();
    await expect(page.getByText("Saved. It applies from the next sign-in on.")).toBeVisible();
    await expect(page.getByText("Now “The user says which one ends”: set for the role.")).toBeVisible();
  });
});
