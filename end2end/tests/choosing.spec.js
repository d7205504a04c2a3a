import { ADMIN, PASSWORD, alive, expect, fillSignIn, serve, signIn, test } from "../support/test.js";

const NORA = { email: "nora@rollcall.example", name: "Nora Field", password: PASSWORD };
const MAX = { email: "max@rollcall.example", name: "Max Meadow", password: PASSWORD };
const IDA = { email: "ida@rollcall.example", name: "Ida Hill", password: PASSWORD };

// The tests share a server, so each has a user of its own.
serve({ users: [NORA, MAX, IDA] });

/** Lets members have two sessions, and choose what ends. Gives somebody two. */
async function fill(another, who) {
  const admin = await another();
  await signIn(admin, ADMIN, { next: "/policy" });
  await admin.locator("select[name=organisation]").selectOption({ label: "Default" });
  await admin.locator("select[name=role]").selectOption({ label: "Member" });
  await admin.getByRole("button", { name: "Show" }).click();
  await admin.getByLabel(/Sessions that a user may have at once/).fill("2");
  await admin.getByLabel("What becomes of one more").selectOption({ label: "The user says which one ends" });
  await admin.getByRole("button", { name: "Save" }).click();
  await expect(admin.getByText("Saved. It applies from the next sign-in on.")).toBeVisible();
  const open = [];
  for (let count = 0; count < 2; count += 1) {
    const browser = await another();
    await signIn(browser, who);
    open.push(browser);
  }
  return open;
}

async function makesRoom(page, who, open, scripts) {
  await page.goto("/sign-in?next=%2Faccount%2Fsecurity");
  if (scripts) await alive(page);
  await fillSignIn(page, who);
  await expect(page.getByRole("heading", { name: "Make room for this session" })).toBeVisible();
  await expect(page.getByText("End 1 session or more to sign in here.")).toBeVisible();
  const boxes = page.getByRole("checkbox");
  await expect(boxes).toHaveCount(2);
  for (const button of await page.getByRole("button").all()) {
    const { x, width } = await button.boundingBox();
    expect(x + width, "nothing lies beside a narrow page").toBeLessThanOrEqual(page.viewportSize().width);
  }
  await page.getByRole("button", { name: "End the ticked and sign in" }).click();
  await expect(page.getByRole("alert")).toContainText("Nothing has ended yet. Tick 1 or more.");
  // By keyboard: the one used last comes first, so the second is the first browser's.
  await boxes.nth(1).focus();
  await page.keyboard.press("Space");
  await expect(boxes.nth(1)).toBeChecked();
  await page.getByRole("button", { name: "End the ticked and sign in" }).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Security" })).toBeVisible();
  await open[0].goto("/account/sessions");
  await expect(open[0].getByText("A newer session took this one's place")).toBeVisible();
  await expect(open[0]).toHaveURL(/\/sign-in/);
  await open[1].goto("/account/sessions");
  await expect(open[1].getByRole("heading", { name: "My sessions" })).toBeVisible();
}

test("a user who has as many sessions as there may be chooses what ends", async ({ page, another, watch }) => {
  watch.allow(/status of 4/);
  await makesRoom(page, NORA, await fill(another, NORA), true);
});

test("everything can be ended at once, and an old page says that it is over", async ({ page, another, watch }) => {
  watch.allow(/status of 4/);
  await fill(another, MAX);
  await page.goto("/sign-in");
  await alive(page);
  await fillSignIn(page, MAX);
  await page.getByRole("button", { name: "End all 2 and sign in" }).click();
  await expect(page.getByRole("heading", { name: "My sessions" })).toBeVisible();
  await page.goto("/sign-in/choose");
  await expect(page.getByRole("heading", { name: "Sign in again" })).toBeVisible();
  await page.getByRole("link", { name: "Sign in" }).click();
  await expect(page.getByLabel("E-mail")).toBeVisible();
});

test.describe("narrow and without scripts", () => {
  test.use({ javaScriptEnabled: false, viewport: { width: 360, height: 720 } });

  test("a user chooses what ends", async ({ page, another, watch }) => {
    watch.allow(/status of 4/);
    await makesRoom(page, IDA, await fill(another, IDA), false);
  });
});
