// Signing in and out with a real identity provider: oidc-provider.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { apiKey, send } from "../support/agent.js";
import { IdentityProvider } from "../support/provider.js";
import { ADMIN, PASSWORD, expect, open, rows, serve, signIn, test } from "../support/test.js";

const LEA = { email: "lea@staff.example", name: "Lea", password: PASSWORD };
const SHOP = { email: "shop@staff.example", name: "Shop", password: PASSWORD };

test.afterAll(() => provider?.stop());

serve({
  users: [LEA, SHOP],
  settings: (own) => ["--public-url", `http://localhost:${own}`, "--allow-outbound", "localhost,127.0.0.1,::1"],
});

let provider;

test.beforeAll(() => (provider = undefined));

// Sets the provider up as an administrator does, on the page for it; once for the tests of this file.
test.beforeEach(async ({ server, another }) => {
  if (provider) return;
  provider = await IdentityProvider.start(server.url, "staff");
  await mkdir(join(server.data, "secrets"), { recursive: true });
  await writeFile(join(server.data, "secrets", "staff"), `${provider.client.secret}\n`, { mode: 0o600 });
  const page = await another();
  await signIn(page, ADMIN);
  await page.goto("/organisations");
  const home = await page.getByRole("link", { name: "Default" }).first().getAttribute("href");
  await page.goto("/integrations/providers");
  await expect(page.getByRole("heading", { name: "No identity provider" })).toBeVisible();
  await page.getByRole("link", { name: "Set up a provider" }).first().click();
  await page.getByLabel("Key").fill("staff");
  await page.getByLabel("Label").fill("Staff login");
  await page.getByLabel("Issuer").fill(`${provider.issuer}/other`);
  await page.getByLabel("Client id").fill(provider.client.id);
  await page.getByLabel("Client secret").fill("file:staff");
  await page.getByLabel("Rules").fill(`domain=staff.example organisation=${home.split("/").at(-1)} create`);
  await page.getByRole("button", { name: "Save" }).click();
  // It is asked who it is; what was typed is not lost over that.
  await expect(page.getByLabel("Issuer")).toHaveAttribute("aria-invalid", "true");
  await expect(page.getByLabel("Client secret")).toHaveValue("file:staff");
  await expect(page.getByLabel("Rules")).toHaveValue(/create$/);
  await page.getByLabel("Issuer").fill(provider.issuer);
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Saved. The provider answered")).toBeVisible();
  await expect(page.getByText(`${server.url}/auth/callback/staff`)).toBeVisible();
  await page.getByRole("link", { name: "Identity providers" }).click();
  await expect(page.getByRole("row", { name: /Staff login/ })).toContainText("Enabled");
});

// By the button on our sign-in page and the question there, to wherever that leads.
async function signInElsewhere(page, name, next = "/") {
  // No script has a part in it.
  await page.goto(`/sign-in?next=${encodeURIComponent(next)}`);
  await page.getByRole("button", { name: "Sign in with Staff login" }).click();
  await expect(page).toHaveURL(new RegExp(`^${provider.issuer}/`));
  await page.getByLabel("Name").fill(name);
  await page.getByRole("button", { name: "Continue" }).click();
}

const here = (page) => expect(page.getByRole("heading", { name: "My sessions", level: 1 }));

test("somebody signs in there, is seen here, and is signed out here when they sign out there", async ({ page, another }) => {
  await signInElsewhere(page, "nora");
  await here(page).toBeVisible();
  const admin = await another();
  await signIn(admin, ADMIN);
  await open(admin, "/sessions?method=single_sign_on");
  await expect(rows(admin)).toHaveCount(1);
  await expect(rows(admin)).toContainText("nora@staff.example");
  await open(admin, "/sessions");
  const row = rows(admin).filter({ hasText: "nora@staff.example" });
  await row.getByRole("link").first().click();
  await expect(admin.getByText("Single sign-on", { exact: true })).toBeVisible();

  const elsewhere = await page.context().newPage();
  await elsewhere.goto(`${provider.issuer}/session/end`);
  await elsewhere.getByRole("button", { name: "Sign out there, too" }).click();
  await expect(elsewhere.getByRole("heading")).toBeVisible();
  const left = Date.now();
  await expect
    .poll(async () => (await page.request.get("/api/v1/me")).status(), { intervals: [20], timeout: 1_000 })
    .toBe(401);
  expect(Date.now() - left, "milliseconds until it was known here").toBeLessThan(1_000);
  await page.reload();
  await expect(page.getByRole("button", { name: "Sign in with Staff login" })).toBeVisible();
  await admin.reload();
  await expect(admin.getByText("ended by the identity provider").first()).toBeVisible();
});

test("sessions by password, API, single sign-on and on behalf stand in one table, told apart", async ({ page, another, baseURL }) => {
  const json = (value) => JSON.stringify(value);
  const session = async ({ email, password = PASSWORD }) =>
    (await send(baseURL, "/api/v1/sign-in", { body: json({ email, password, token: true }) })).token;
  // An application that may open sessions for users.
  const root = await session(ADMIN);
  const role = await send(baseURL, "/api/v1/roles", {
    token: root,
    body: json({ name: "Opens sessions", permissions: ["sessions.create_for"] }),
  });
  const found = async (email) => {
    const answer = await fetch(`${baseURL}/api/v1/users?q=${encodeURIComponent(email)}`, { headers: { authorization: `Bearer ${root}` } });
    return (await answer.json()).items[0].id;
  };
  const shop = `/api/v1/users/${await found(SHOP.email)}`;
  await send(baseURL, shop, { token: root, method: "PATCH", body: json({ roles: [role.key] }) });
  const key = await apiKey(baseURL, SHOP, ["sessions.create_for"]);

  await signInElsewhere(page, "sven");
  await here(page).toBeVisible();
  const browser = await another();
  await signIn(browser, LEA);
  await session(LEA);
  await send(baseURL, "/api/v1/sessions", { token: key, body: json({ user: await found(LEA.email), name: "Shop basket" }) });

  const admin = await another();
  await signIn(admin, ADMIN);
  await open(admin, "/sessions?state=active&page_size=100");
  const of = (email, text) => rows(admin).filter({ hasText: email }).filter({ hasText: text });
  await expect(of("sven@staff.example", "console · Single sign-on")).toHaveCount(1);
  await expect(of(LEA.email, "Shop basket")).toContainText("api · By an application");
  await expect(rows(admin).filter({ hasText: LEA.email }).filter({ hasText: /api$|api(?! ·)/ })).not.toHaveCount(0);
  await expect(rows(admin).filter({ hasText: LEA.email }).filter({ hasText: /console(?! ·)/ })).not.toHaveCount(0);
  for (const [method, email] of [
    ["single_sign_on", "sven@staff.example"],
    ["on_behalf", LEA.email],
    ["password", ADMIN.email],
  ]) {
    await open(admin, `/sessions?state=active&method=${method}&page_size=100`);
    await expect(rows(admin).filter({ hasText: email })).not.toHaveCount(0);
  }
  await expect(rows(admin).filter({ hasText: "By an application" })).toHaveCount(0);
  // It ends by a click as any other does.
  await open(admin, "/sessions?state=active&method=on_behalf");
  await rows(admin).getByRole("link", { name: /^End/ }).click();
  await admin.getByRole("dialog").getByRole("button", { name: "End session" }).click();
  await expect(rows(admin)).toHaveCount(0);
});

test("who signs out here is led to the provider, and back", async ({ page, server }) => {
  await signInElsewhere(page, "omar", "/account/security");
  await expect(page).toHaveURL(`${server.url}/account/security`);
  await expect(page.getByText("You sign in with Staff login")).toBeVisible();
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("heading", { name: "Leaving the staff login" })).toBeVisible();
  await page.getByRole("button", { name: "Sign out there, too" }).click();
  await expect(page).toHaveURL(`${server.url}/sign-in`);
  // There is no session left there that would let them in without a question.
  await signInElsewhere(page, "omar");
  await here(page).toBeVisible();
});

test("somebody with an account that is not tied to the provider is told so", async ({ page, watch }) => {
  watch.allow(/status of 403/);
  await signInElsewhere(page, "lea");
  await expect(page.getByRole("heading", { name: "Signing in with Staff login did not work" })).toBeVisible();
  await expect(page.getByText("not linked to Staff login")).toBeVisible();
  await page.getByRole("link", { name: "Back to the sign-in page" }).click();
  await signIn(page, LEA);
});

test.describe("without scripts", () => {
  test.use({ javaScriptEnabled: false });

  test("single sign-on works the same", async ({ page }) => {
    await signInElsewhere(page, "pia");
    await here(page).toBeVisible();
  });
});

test("a provider that is down keeps nobody out who is in", async ({ page, another, watch }) => {
  watch.allow(/status of 502/);
  await signInElsewhere(page, "quin");
  await here(page).toBeVisible();
  provider.away = true;
  try {
    const other = await another();
    await signInElsewhere(other, "rosa");
    await expect(other.getByText("Staff login does not answer just now")).toBeVisible();
    await page.reload();
    await here(page).toBeVisible();
    await signIn(other, LEA);
  } finally {
    provider.away = false;
  }
});
